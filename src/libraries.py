"""Imports torch, torchvision and Lightning in the one order that works.

The packages and tools that use them import this module first.

torchvision may need help first (see `src.torchvision_compat`). The garbage collector is off
meanwhile and then ignores what was imported: it would spend half a second at the start, and more at
the end, on half a million objects that are never freed. Ctrl-C ends the import without a traceback.
"""

import gc
import importlib
import importlib.util
import signal
import threading

_interruptible = (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _interruptible:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
_collecting = gc.isenabled()
gc.disable()
try:
    if importlib.util.find_spec("torchvision"):
        importlib.import_module("src.torchvision_compat").import_torchvision()
    importlib.import_module("lightning.pytorch.cli")
    gc.freeze()
finally:
    if _collecting:
        gc.enable()
    if _interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)

"""linenet: from a line to LeNet.

Whatever is imported from here, torch, torchvision and Lightning come first: in this order, since
torchvision may need help (see `src.guard`), and without the garbage collector, which would take
half a second to look through half a million objects that have all come to stay. Ctrl-C ends these
seconds without a traceback.
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
        importlib.import_module("src.guard").import_torchvision()
    importlib.import_module("lightning.pytorch.cli")
    gc.freeze()  # nor need it look at them later, or at the end
finally:
    if _collecting:
        gc.enable()
    if _interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)

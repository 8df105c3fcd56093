# .\scripts\run.ps1 ARGS does on Windows what ./scripts/run ARGS does elsewhere: the first call sets up
# .venv, and `setup` as the first word does only that: .\scripts\run.ps1 setup [--cpu | --cuda] [EXTRA ...]
$ErrorActionPreference = "Stop"
$here = Split-Path -Parent $PSScriptRoot
$env:PYTHONUTF8 = "1"
$python = Join-Path $here ".venv\Scripts\python.exe"
if (-not (Test-Path $python)) { $python = "python" } # 3.11 or newer, from python.org or the Store
$environment = Join-Path $here "scripts\packaging\environment.py"
if ($args.Count -gt 0 -and $args[0] -eq "setup") {
    & $python $environment @($args | Select-Object -Skip 1)
    exit $LASTEXITCODE
}
$python = & $python $environment --for @args
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
$env:PYTHONPATH = $here
& $python -m scripts.shared.entry @args
exit $LASTEXITCODE

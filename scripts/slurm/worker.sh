#!/usr/bin/env bash
# A tool in a job of SLURM, or in each job of an array, whose workers share the work:
#   sbatch scripts/slurm/worker.sh TOOL [FLAGS OF THE TOOL]
# A job that is preempted, or at its time limit, is queued again: the same command goes on.
#SBATCH --ntasks=1 --ntasks-per-node=1
#SBATCH --signal=USR1@60
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

srun ./scripts/run "$@"
code=$?
case $code in
129 | 138 | 143) scontrol requeue "$SLURM_JOB_ID" ;; # stopped by SIGHUP, SIGUSR1 or SIGTERM
esac
exit "$code"

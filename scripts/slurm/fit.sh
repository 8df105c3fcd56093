#!/usr/bin/env bash
# One run over the nodes of a job of SLURM, or a run for each seed of an array of jobs:
#   sbatch --nodes 2 scripts/slurm/fit.sh --config configs/mnist_lenet.yaml [FLAGS OF fit]
#   sbatch --array 0-7 scripts/slurm/fit.sh --config configs/mnist_lenet.yaml [FLAGS OF fit]
# A job that is preempted, or at its time limit, is queued again and resumes its run.
#SBATCH --ntasks-per-node=1   # processes on a node: one for each of its GPUs
#SBATCH --signal=USR1@60      # a minute before the time limit, processes save and stop
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

version="job_$SLURM_JOB_ID"
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    version="job_${SLURM_ARRAY_JOB_ID}_seed_$SLURM_ARRAY_TASK_ID"
    set -- "$@" --seed_everything "$SLURM_ARRAY_TASK_ID"
fi
config=$(ls lightning_logs/*/"$version"{,_restart_*}/config.yaml 2>/dev/null | head -n 1)
if [ -n "$config" ]; then
    set -- "$@" --resume "$(dirname "$config")" # an earlier start of this job has begun it
else # a start that was stopped before its first step may have left an empty folder
    set -- "$@" --trainer.logger.version "$version${SLURM_RESTART_COUNT:+_restart_$SLURM_RESTART_COUNT}"
fi

srun --kill-on-bad-exit=1 ./scripts/run fit "$@" \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "${SLURM_NTASKS_PER_NODE:-1}"
code=$?
case $code in
129 | 138 | 143) scontrol requeue "$SLURM_JOB_ID" ;; # stopped by SIGHUP, SIGUSR1 or SIGTERM
esac
exit "$code"

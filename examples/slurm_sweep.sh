#!/bin/bash
# A sweep as an array of 100 jobs, without a scheduler of dask: each job runs its part of the points, and writes what
# it found into one folder that all nodes share. Submit it again, and only points that are not there are run.
#
#   sbatch slurm_sweep.sh FILE.toml DIR
#
#SBATCH --job-name=mpimpy-sweep
#SBATCH --array=0-99
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=2G
#SBATCH --time=04:00:00

set -eu
export NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$HOME/.cache/mpimpy}" # kernels are compiled once, by one of the jobs

mpimpy sweep "$1" --store "$2" --part "$SLURM_ARRAY_TASK_ID/100"

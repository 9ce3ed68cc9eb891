#!/bin/sh
# The jobs of a table as a Slurm array, one task each:
#
#   sbatch --array=0-$(($(grep -c . jobs.tsv) - 2)) examples/batch/slurm.sh jobs.tsv
#
# A task that is done again (--requeue, or the same command) leaves alone what is there.
#SBATCH --job-name=lipsync
#SBATCH --cpus-per-task=4
#SBATCH --mem=4G
#SBATCH --requeue
exec gst-lipsync-1.0 --list "${1:?a table of jobs}" --index --quiet

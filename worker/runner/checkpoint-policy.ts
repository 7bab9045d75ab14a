import { CHECKPOINT_LIMITS } from "../limits.ts";

/** What is known of a job when it has to be decided whether to write a checkpoint. */
export interface CheckpointCircumstances {
  /** Wall time of running since the last one. */
  readonly millisecondsSince: number;
  /** Pages one would write now. */
  readonly dirtyPages: number;
  /** Pages written by all checkpoints so far, and the wall time they took. */
  readonly pagesWritten: number;
  readonly milliseconds: number;
  /** Wall time of running so far, and how often it was broken off by the end of the process. */
  readonly runMilliseconds: number;
  readonly interruptions: number;
}

/** What a checkpoint would cost now: dirty pages at the price per page that this job's checkpoints had so far. */
export function expectedCost({ dirtyPages, pagesWritten, milliseconds }: CheckpointCircumstances): number {
  const { assumedPages, microsecondsPerPage, minMicrosecondsPerPage, baseMilliseconds } = CHECKPOINT_LIMITS;
  const microseconds =
    (microsecondsPerPage * assumedPages + milliseconds * 1000) / (assumedPages + pagesWritten);
  return baseMilliseconds + (dirtyPages * Math.max(minMicrosecondsPerPage, microseconds)) / 1000;
}

/**
 * Wall time between two checkpoints, in milliseconds. Young's formula (J. W. Young, CACM 17(9), 1974): where a checkpoint
 * costs C and a process lives M, writing one every sqrt(2 C M) makes the least of writing and of work lost together.
 * M is learnt from what happened to this job, beginning with an assumption that is pessimistic for a data centre; so a job
 * whose process is killed again and again writes more often, and gets on.
 */
export function checkpointInterval(circumstances: CheckpointCircumstances): number {
  const { minMilliseconds, maxMilliseconds, lifeMilliseconds } = CHECKPOINT_LIMITS;
  const { runMilliseconds, interruptions } = circumstances;
  const life = (lifeMilliseconds + runMilliseconds) / (1 + interruptions);
  const interval = Math.sqrt(2 * expectedCost(circumstances) * life);
  return Math.min(maxMilliseconds, Math.max(minMilliseconds, interval));
}

/** Nothing that the guest sees depends on the answer. */
export function isCheckpointDue(circumstances: CheckpointCircumstances): boolean {
  return circumstances.millisecondsSince >= checkpointInterval(circumstances);
}

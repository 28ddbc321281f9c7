// Who waits for a signal of the user's to be aborted.

/** One listener for each signal, however many calls hang on it: Node warns of more than ten. */
const WAITING = new WeakMap<AbortSignal, Set<() => void>>();

/** Has `giveUp` called when the signal is aborted; what it gives takes that back. */
export function whenAborted(signal: AbortSignal, giveUp: () => void): () => void {
  const waiting = WAITING.get(signal) ?? listen(signal);
  waiting.add(giveUp);
  return () => waiting.delete(giveUp);
}

function listen(signal: AbortSignal): Set<() => void> {
  const waiting = new Set<() => void>();
  WAITING.set(signal, waiting);
  const tell = () => {
    for (const giveUp of waiting) giveUp();
    waiting.clear();
  };
  signal.addEventListener("abort", tell, { once: true });
  return waiting;
}

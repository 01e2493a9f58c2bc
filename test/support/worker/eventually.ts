/**
 * Resolves as soon as `condition` holds, looking at it once per turn of the event loop; rejects after `timeoutMs` with
 * what was waited for.
 */
export async function eventually(condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not after ${timeoutMs} ms: ${condition.toString()}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/**
 * Resolves when `figure` has stayed the same for 200 turns of the event loop, whatever it is; rejects after
 * `timeoutMs`.
 */
export async function still(figure: () => number, timeoutMs = 20_000): Promise<void> {
  let last = figure()
  let same = 0
  await eventually(() => {
    const now = figure()
    same = now === last ? same + 1 : 0
    last = now
    return same >= 200
  }, timeoutMs)
}

/**
 * Looks for `ms` whether `condition` holds, and rejects at once when it does not: for what must not happen meanwhile.
 */
export async function holds(condition: () => boolean, ms: number): Promise<void> {
  const end = performance.now() + ms
  while (performance.now() < end) {
    if (!condition()) throw new Error(`held for less than ${ms} ms: ${condition.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, Math.min(5, ms)))
  }
}

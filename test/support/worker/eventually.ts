/** Resolves as soon as `condition` holds, looking at it once per turn of the event loop; rejects after `timeoutMs` with what was waited for. */
export async function eventually(condition: () => boolean, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not after ${timeoutMs} ms: ${condition.toString()}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

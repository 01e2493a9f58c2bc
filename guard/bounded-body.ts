/**
 * All of a body that somebody sends; undefined: more than `maxBytes`, of which no more is read. Rejects when it breaks
 * off.
 */
export async function boundedBody(body: AsyncIterable<unknown>, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let held = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    held += chunk.length
    if (held > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

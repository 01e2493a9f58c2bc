const idLength = 32

/** The trace that we began for a request without one: all its attempts and its line in the access log are of the same. Reused with its request. */
export class CreatedTrace {
  /** The trace id in lower-case hex. */
  readonly id: Buffer = Buffer.alloc(idLength)
  isThere = false
  isSampled = false

  get text(): string {
    return this.isThere ? this.id.toString('latin1') : ''
  }
}

// Preloaded: the wall clock of this process jumps 400 days ahead after a second, and back an hour (from the truth) after three. Timers are not touched.
const real = Date.now
const startedAt = performance.now()
const day = 86_400_000
const jumped = () => {
  const ageMs = performance.now() - startedAt
  return real() + (ageMs < 1000 ? 0 : ageMs < 3000 ? 400 * day : -3_600_000)
}
globalThis.Date = class extends Date {
  constructor(...parts) {
    if (parts.length === 0) super(jumped())
    else super(...parts)
  }

  static now() {
    return jumped()
  }
}

// Preloaded: the wall clock of this process stands in the year 2050. Timers are not touched.
const ahead = Date.UTC(2050, 0, 1) - Date.now()
const real = Date.now
globalThis.Date = class extends Date {
  constructor(...parts) {
    if (parts.length === 0) super(real() + ahead)
    else super(...parts)
  }

  static now() {
    return real() + ahead
  }
}

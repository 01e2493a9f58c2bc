/** Runs `load` without Node's notice that FFI is experimental; every other warning passes. */
export function quietly<T>(load: () => T): T {
  const emit = process.emitWarning
  const filtered = (...parts: unknown[]): void => {
    if (!String(parts[0]).includes('FFI is an experimental feature')) Reflect.apply(emit, process, parts)
  }
  process.emitWarning = filtered as typeof process.emitWarning
  try {
    return load()
  } finally {
    process.emitWarning = emit
  }
}

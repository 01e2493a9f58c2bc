import '../../../native/bare-functions.ts'

const outOfBand = 1

/** Sends one byte of urgent data (RFC 6093) on a connected socket, which Node has no call for. */
export function sendUrgent(descriptor: number, byte: string): void {
  using library = process.getBuiltinModule('node:ffi').dlopen('libc.so.6', {
    send: { arguments: ['i32', 'buffer', 'u64', 'i32'], return: 'i64' },
  })
  const sent = library.functions.send(descriptor, Buffer.from(byte), 1n, outOfBand)
  if (sent !== 1n) throw new Error(`send: ${String(sent)}`)
}

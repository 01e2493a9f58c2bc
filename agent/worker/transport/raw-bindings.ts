/**
 * Node's own TCP handles as `raw-handle.ts` uses them: `process.binding('tcp_wrap')` and `('stream_wrap')`,
 * `useUserBuffer`, `onread`, `writeBuffer` with a null request, `streamBaseState`. None of it is public API.
 */
import type { OutputBlock } from './output.ts'

/** `writeBuffer(null, …)` exists from here on; on earlier majors it aborts the process, so this is never tried out. */
export const firstRawMajor = 26

/** Who gets the events of a handle. */
export interface HandleOwner {
  /** Answers the memory for the next read if it is another one. */
  onReadResult(count: number): Buffer | undefined
  onWritten(request: WriteRequest, status: number): void
}

export interface WriteRequest {
  oncomplete: (status: number) => void
  writeStatus: number | null
  bytes: Buffer | null
  block: OutputBlock | null
  transport: HandleOwner | null
}

export interface ConnectRequest {
  oncomplete: (status: number) => void
}

export interface Handle {
  readonly fd: number
  readonly writeQueueSize: number
  transport: HandleOwner | null
  onread: () => Buffer | undefined
  onconnection: (status: number, client: Handle | undefined) => void
  open(fd: number): number
  bind(address: string, port: number, flags: number): number
  bind6(address: string, port: number, flags: number): number
  listen(backlog: number): number
  connect(request: ConnectRequest, address: string, port: number): number
  connect6(request: ConnectRequest, address: string, port: number): number
  getsockname(out: object): number
  getpeername(out: object): number
  setNoDelay(on: boolean): number
  setKeepAlive(on: boolean, seconds: number): number
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Buffer): void
  writeBuffer(request: null, bytes: Buffer): number | WriteRequest
  shutdown(request: object): number
  reset(): number
  close(callback?: () => void): void
  ref(): void
  unref(): void
}

export interface Bindings {
  readonly TCP: { new (kind: number): Handle }
  readonly TCPConnectWrap: { new (): ConnectRequest }
  readonly Pipe: { new (kind: number): Handle }
  readonly ShutdownWrap: { new (): { oncomplete: (status: number) => void } }
  readonly constants: { readonly SOCKET: number; readonly SERVER: number; readonly UV_TCP_REUSEPORT: number }
  readonly state: Int32Array
  readonly readBytesOrError: number
  readonly lastWriteError: number
  readonly endOfFile: number
  readonly noBuffers: number
  readonly brokenPipe: number
  readonly connectionReset: number
  readonly errorName: (code: number) => string
}

/** Throws when one of them is missing. */
export function loadBindings(): Bindings {
  const load = (process as unknown as { binding(name: string): Record<string, unknown> }).binding
  const tcp = load.call(process, 'tcp_wrap')
  const stream = load.call(process, 'stream_wrap')
  const pipe = load.call(process, 'pipe_wrap')
  const uv = load.call(process, 'uv')
  return {
    TCP: tcp['TCP'] as Bindings['TCP'],
    TCPConnectWrap: tcp['TCPConnectWrap'] as Bindings['TCPConnectWrap'],
    Pipe: pipe['Pipe'] as Bindings['Pipe'],
    ShutdownWrap: stream['ShutdownWrap'] as Bindings['ShutdownWrap'],
    constants: tcp['constants'] as Bindings['constants'],
    state: stream['streamBaseState'] as Int32Array,
    readBytesOrError: stream['kReadBytesOrError'] as number,
    lastWriteError: stream['kLastWriteErr'] as number,
    endOfFile: uv['UV_EOF'] as number,
    noBuffers: uv['UV_ENOBUFS'] as number,
    brokenPipe: uv['UV_EPIPE'] as number,
    connectionReset: uv['UV_ECONNRESET'] as number,
    errorName: uv['errname'] as (code: number) => string,
  }
}

export function systemError(bindings: Bindings, code: number, what: string): Error {
  const name = bindings.errorName(code)
  return Object.assign(new Error(`${what}: ${name}`), { code: name, errno: code })
}

/**
 * Calls back whenever a descriptor has something to read, without reading it. Keeps the process alive between `ref` and
 * `unref`.
 */
export interface Waker {
  ref(): void
  unref(): void
}

/** The descriptor is the waker's from here on. Throws when the system refuses. */
export function loadWaker(bindings: Bindings, descriptor: number, onReady: () => void): Waker {
  const handle = new bindings.Pipe(0)
  const failed = handle.open(descriptor)
  if (failed !== 0) throw systemError(bindings, failed, `descriptor ${descriptor}`)
  // Of no length: libuv says UV_ENOBUFS, and asks again in its next turn.
  handle.useUserBuffer(Buffer.allocUnsafeSlow(1).subarray(0, 0))
  handle.onread = () => {
    onReady()
    return undefined
  }
  const refused = handle.readStart()
  if (refused !== 0) throw systemError(bindings, refused, `descriptor ${descriptor}`)
  handle.unref()
  return handle
}

/**
 * Whom undici hands to a dispatcher: handlers of undici 7 and later, and those of the versions before. Both look alike
 * from here.
 */
import { MeshError } from '../../contracts/errors.ts'

/** What a call tells its caller, in this order. */
export interface CallListener {
  begin(abort: (reason: Error) => void, resume: () => void): void
  /** rawHeaders: names and values in turn. False: wait for `resume`. */
  head(status: number, rawHeaders: readonly string[], statusText: string): boolean
  content(chunk: Buffer): boolean
  end(rawTrailers: readonly string[]): void
  fail(error: Error): void
}

/** Undici up to 6, and Node 20 and 22. */
interface OlderHandler {
  onConnect?(abort: (reason?: Error) => void, context: unknown): void
  onHeaders(status: number, rawHeaders: Buffer[], resume: () => void, statusText: string): boolean
  onData(chunk: Buffer): boolean
  onComplete(rawTrailers: string[]): void
  onError(error: Error): void
}

interface Controller {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: Error | null
  rawHeaders: Buffer[] | null
  rawTrailers: Buffer[] | null
  pause(): void
  resume(): void
  abort(reason: Error): void
}

interface NewerHandler {
  onRequestStart?(controller: Controller, context: unknown): void
  onResponseStart?(controller: Controller, status: number, headers: Fields, statusText: string): void
  onResponseData?(controller: Controller, chunk: Buffer): void
  onResponseEnd?(controller: Controller, trailers: Fields): void
  onResponseError?(controller: Controller, error: Error): void
}

type Fields = Record<string, string | string[]>

/** Throws E_HTTP_BAD_REQUEST for what is no handler. */
export function listenerOf(handler: unknown): CallListener {
  const one = handler as Partial<OlderHandler & NewerHandler> | null
  if (typeof one !== 'object' || one === null) throw noHandler()
  if (typeof one.onRequestStart === 'function' || typeof one.onResponseStart === 'function') return newer(one)
  if (typeof one.onHeaders !== 'function' || typeof one.onError !== 'function') throw noHandler()
  return older(one as OlderHandler)
}

function noHandler(): MeshError {
  return new MeshError('E_HTTP_BAD_REQUEST', 'the second argument of dispatch() is no handler of undici')
}

function older(handler: OlderHandler): CallListener {
  let resumeCall = (): void => undefined
  return {
    begin(abort, resume) {
      resumeCall = resume
      handler.onConnect?.((reason) => abort(reason ?? aborted()), null)
    },
    head: (status, rawHeaders, statusText) =>
      handler.onHeaders(status, buffers(rawHeaders), () => resumeCall(), statusText) !== false,
    content: (chunk) => handler.onData(chunk) !== false,
    end: (rawTrailers) => handler.onComplete([...rawTrailers]),
    fail: (error) => handler.onError(error),
  }
}

function newer(handler: NewerHandler): CallListener {
  let isPaused = false
  let reason: Error | null = null
  let abortCall: (reason: Error) => void = () => undefined
  let resumeCall = (): void => undefined
  const controller: Controller = {
    get aborted() {
      return reason !== null
    },
    get paused() {
      return isPaused
    },
    get reason() {
      return reason
    },
    rawHeaders: null,
    rawTrailers: null,
    pause() {
      isPaused = true
    },
    resume() {
      if (!isPaused) return
      isPaused = false
      resumeCall()
    },
    abort(why) {
      reason ??= why ?? aborted()
      abortCall(reason)
    },
  }
  return {
    begin(abort, resume) {
      abortCall = abort
      resumeCall = resume
      handler.onRequestStart?.(controller, null)
    },
    head(status, rawHeaders, statusText) {
      controller.rawHeaders = buffers(rawHeaders)
      handler.onResponseStart?.(controller, status, fields(rawHeaders), statusText)
      return !isPaused
    },
    content(chunk) {
      handler.onResponseData?.(controller, chunk)
      return !isPaused
    },
    end(rawTrailers) {
      controller.rawTrailers = buffers(rawTrailers)
      handler.onResponseEnd?.(controller, fields(rawTrailers))
    },
    fail: (error) => handler.onResponseError?.(controller, error),
  }
}

function aborted(): Error {
  return new DOMException('This operation was aborted', 'AbortError')
}

function buffers(raw: readonly string[]): Buffer[] {
  return raw.map((text) => Buffer.from(text, 'latin1'))
}

function fields(raw: readonly string[]): Fields {
  const found = new Map<string, string | string[]>()
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at]!.toLowerCase()
    const before = found.get(name)
    found.set(name, before === undefined ? raw[at + 1]! : [before, raw[at + 1]!].flat())
  }
  return Object.fromEntries(found)
}

/**
 * One connection through the relay. HTTP carries one request (`Connection: close` both ways), so that a caller is back with the workers as soon as they
 * are; TCP and upgraded connections stay until one side ends. Buffers are those of two sockets, each bounded; a slow reader stops its source.
 */
import net from 'node:net'
import { encodeProxyV2, relayTlvs } from '../../contracts/proxy-protocol.ts'
import type { RelayListener, RelayTargets } from '../../contracts/relay-targets.ts'
import type { AddressHealth, Candidate, CandidateList } from './candidates.ts'
import { keyOf } from './candidates.ts'
import { findHead, ownAnswer, readRequest, readResponse } from './http-head.ts'
import type { RequestHead } from './http-head.ts'
import type { Waiting } from './waiting.ts'

const connectTimeoutMs = 1000
const headTimeoutMs = 10_000
/** A relayed HTTP request without a byte for so long is given up. */
const idleTimeoutMs = 300_000
/** How long a finished HTTP connection may take to close from the other side. */
const lingerMs = 1000

export type RelayEnd = 'center' | 'direct' | 'failed'

export interface RelayedDeps {
  readonly targets: RelayTargets
  readonly listenerName: string
  readonly listener: RelayListener
  readonly candidates: CandidateList
  readonly health: AddressHealth
  /** Who waits for the first byte of a center's answer. */
  readonly waiting: Waiting
  readonly now: () => number
  readonly maxBufferBytes: number
  readonly maxHeadBytes: number
  /** Which tier took it, or that none did; again when a center fell silent before its answer and another took it. */
  readonly onRouted: (end: RelayEnd) => void
}

/** Takes a paused socket with `allowHalfOpen`. Nothing is left open when both sides have closed. */
export function relayConnection(downstream: net.Socket, deps: RelayedDeps): void {
  downstream.on('error', () => {})
  downstream.setNoDelay(true)
  if (deps.listener.protocol === 'http') relayHttp(downstream, deps)
  else relayTcp(downstream, deps)
}

function relayTcp(downstream: net.Socket, deps: RelayedDeps): void {
  const { candidates, targets, listener } = deps
  dial(candidates.of(targets, listener, undefined, deps.now()), downstream, deps, (upstream, candidate) => {
    if (upstream === undefined) {
      deps.onRouted('failed')
      downstream.resetAndDestroy()
      return
    }
    deps.onRouted(candidate.tier)
    if (candidate.tier === 'center') upstream.write(proxyHeader(downstream, deps))
    join(downstream, upstream)
  })
}

function relayHttp(downstream: net.Socket, deps: RelayedDeps): void {
  const timer = setTimeout(() => refuse(408, 'E_DOWNSTREAM_TIMEOUT', 'no whole request head in time'), headTimeoutMs)
  let bytes: Buffer = Buffer.alloc(0)
  const refuse = (...answer: Parameters<typeof ownAnswer>): void => {
    clearTimeout(timer)
    deps.onRouted('failed')
    finish(downstream, ownAnswer(...answer))
  }
  const onEarlyEnd = (): void => {
    clearTimeout(timer)
    downstream.destroy()
  }
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const state = findHead(bytes, deps.maxHeadBytes)
    if (state.kind === 'more') return
    clearTimeout(timer)
    downstream.pause()
    downstream.off('data', onData).off('end', onEarlyEnd).off('close', onEarlyEnd)
    if (state.kind === 'too-large') {
      refuse(431, 'E_HTTP_HEAD_TOO_LARGE', `request head larger than ${deps.maxHeadBytes} bytes`)
      return
    }
    const request = readRequest(bytes.subarray(0, state.end))
    if (request === undefined) {
      refuse(400, 'E_HTTP_BAD_REQUEST', 'not a request of HTTP/1.1')
      return
    }
    forwardHttp(downstream, request, bytes.subarray(state.end), deps)
  }
  downstream.on('data', onData).on('end', onEarlyEnd).on('close', onEarlyEnd)
  downstream.resume()
}

function forwardHttp(downstream: net.Socket, request: RequestHead, rest: Buffer, deps: RelayedDeps): void {
  const { candidates, targets, listener } = deps
  const named = listener.kind === 'shared-http' ? request.named : undefined
  sendHttp(downstream, request, rest, candidates.of(targets, listener, named, deps.now()), deps)
}

function sendHttp(
  downstream: net.Socket,
  request: RequestHead,
  rest: Buffer,
  list: readonly Candidate[],
  deps: RelayedDeps,
): void {
  dial(list, downstream, deps, (upstream, candidate) => {
    if (upstream === undefined) {
      deps.onRouted('failed')
      finish(downstream, ownAnswer(503, 'E_CENTER_UNREACHABLE', 'no worker, no center and no known endpoint answers'))
      return
    }
    deps.onRouted(candidate.tier)
    if (candidate.tier === 'center') upstream.write(proxyHeader(downstream, deps))
    upstream.write(Buffer.concat([request.bytes, rest]))
    downstream.setTimeout(idleTimeoutMs, () => downstream.destroy())
    downstream.pipe(upstream)
    const abandon = answerFrom(upstream, downstream, candidate.tier, deps.maxHeadBytes)
    if (candidate.tier !== 'center') return
    // A center that does not even answer the watchdog will not answer this either. Repeated only where that can do no harm.
    const leave = deps.waiting.enter(keyOf(candidate), () => {
      abandon()
      const others = list.slice(list.indexOf(candidate) + 1)
      if (request.isRepeatable && rest.length === 0 && others.length > 0)
        sendHttp(downstream, request, rest, others, deps)
      else {
        deps.onRouted('failed')
        finish(downstream, ownAnswer(504, 'E_CENTER_UNREACHABLE', 'the center took the request and fell silent'))
      }
    })
    upstream.once('data', leave).once('close', leave)
  })
}

/** Passes the answer on, with our two fields in its head. The answer takes the request back; only before the first byte has come. */
function answerFrom(
  upstream: net.Socket,
  downstream: net.Socket,
  tier: 'center' | 'direct',
  maxHeadBytes: number,
): () => void {
  let bytes: Buffer = Buffer.alloc(0)
  const lost = (): void => {
    upstream.off('data', onData).off('end', lost).off('close', lost)
    upstream.destroy()
    finish(downstream, ownAnswer(502, 'E_UPSTREAM_RESET', 'the other side closed the connection before its reply'))
  }
  const onData = (chunk: Buffer): void => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    for (;;) {
      const state = findHead(bytes, maxHeadBytes)
      if (state.kind === 'more') return
      const response = state.kind === 'head' ? readResponse(bytes.subarray(0, state.end), tier) : undefined
      if (response === undefined || state.kind !== 'head') {
        lost()
        return
      }
      downstream.write(response.bytes)
      bytes = bytes.subarray(state.end)
      if (response.isInterim) continue
      upstream.off('data', onData).off('end', lost).off('close', lost)
      upstream.pause()
      if (bytes.length > 0) downstream.write(bytes)
      if (response.isUpgrade) {
        downstream.setTimeout(0)
        joinOneWay(upstream, downstream)
        downstream.once('close', () => upstream.destroy())
      } else {
        passBody(upstream, downstream)
      }
      return
    }
  }
  const onDownstreamClosed = (): void => void upstream.destroy()
  upstream.on('data', onData).on('end', lost).on('close', lost)
  downstream.once('close', onDownstreamClosed)
  return () => {
    upstream.off('data', onData).off('end', lost).off('close', lost)
    downstream.off('close', onDownstreamClosed).unpipe(upstream)
    upstream.destroy()
  }
}

function passBody(upstream: net.Socket, downstream: net.Socket): void {
  upstream.once('end', () => {
    upstream.end()
    finish(downstream, undefined)
  })
  // A reply that is cut off must not look finished to a caller that counts on the close.
  upstream.once('close', () => {
    if (!upstream.readableEnded) downstream.resetAndDestroy()
  })
  upstream.pipe(downstream, { end: false })
}

/** Ends a connection without the reset that unread bytes would cause: the answer must arrive whole. */
function finish(downstream: net.Socket, answer: Buffer | undefined): void {
  downstream.unpipe()
  downstream.removeAllListeners('data')
  if (answer === undefined) downstream.end()
  else downstream.end(answer)
  downstream.resume()
  const timer = setTimeout(() => downstream.destroy(), lingerMs)
  downstream.once('end', () => downstream.destroySoon()).once('close', () => clearTimeout(timer))
}

function join(one: net.Socket, other: net.Socket): void {
  joinOneWay(one, other)
  joinOneWay(other, one)
}

function joinOneWay(from: net.Socket, to: net.Socket): void {
  from.pipe(to)
  from.once('close', () => {
    if (!from.readableEnded) to.resetAndDestroy()
  })
}

function proxyHeader(downstream: net.Socket, deps: RelayedDeps): Buffer {
  const source = { address: downstream.remoteAddress ?? '', port: downstream.remotePort ?? 0 }
  const destination = { address: downstream.localAddress ?? '', port: downstream.localPort ?? 0 }
  const tlvs = relayTlvs({
    service: deps.listener.service ?? '',
    host: deps.targets.host,
    listener: deps.listenerName,
  })
  return encodeProxyV2({ command: 'proxy', source, destination, tlvs })
}

/** Tries one after the other; an address that does not take the connection rests for a while. */
function dial(
  list: readonly Candidate[],
  downstream: net.Socket,
  deps: RelayedDeps,
  done: (upstream: net.Socket | undefined, candidate: Candidate) => void,
): void {
  const next = (position: number): void => {
    const candidate = list[position]
    if (candidate === undefined || downstream.destroyed) {
      done(undefined, candidate ?? { tier: 'direct', address: '', port: 0 })
      return
    }
    // Node takes `highWaterMark` here as it does for any stream; its types do not know.
    const options: net.TcpNetConnectOpts & { readonly highWaterMark: number } = {
      host: candidate.address,
      port: candidate.port,
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: deps.maxBufferBytes,
    }
    const upstream = net.connect(options)
    const failed = (): void => {
      clearTimeout(timer)
      upstream
        .off('error', failed)
        .off('connect', connected)
        .on('error', () => {})
      upstream.destroy()
      deps.health.failed(keyOf(candidate), deps.now())
      next(position + 1)
    }
    const connected = (): void => {
      clearTimeout(timer)
      upstream.off('error', failed).on('error', () => {})
      deps.health.worked(keyOf(candidate))
      done(upstream, candidate)
    }
    const timer = setTimeout(failed, connectTimeoutMs)
    upstream.once('error', failed).once('connect', connected)
  }
  next(0)
}

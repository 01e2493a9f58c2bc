import type { NumberPlace, RpcDescription } from '../../contracts/rpc-description.ts'

export interface DescriptionProblem {
  /** Keys from the description down. */
  readonly path: readonly string[]
  readonly message: string
}

/** What no single field of a description can tell: places that overlap or lie outside, values that do not fit. */
export function descriptionProblems(description: RpcDescription): DescriptionProblem[] {
  const { attributes, headBytes, id, length, magic, status, timeout, type, version } = description
  const problems: DescriptionProblem[] = []
  const say = (path: readonly string[], message: string): void => void problems.push({ path, message })
  const places: [readonly string[], NumberPlace][] = [
    [['length'], length],
    [['id'], id],
    [['type'], type],
    [['status'], status],
    [['attributes', 'length'], attributes.length],
  ]
  if (version !== undefined) places.push([['version'], version])
  if (timeout !== undefined) places.push([['timeout'], timeout])

  const taken = new Map<number, string>()
  for (let at = 0; at < magic.length / 2; at++) taken.set(at, 'magic')
  if (magic.length / 2 > headBytes) say(['magic'], `has ${magic.length / 2} bytes, the head only ${headBytes}`)
  for (const [path, place] of places) {
    const name = path.join('.')
    if (place.at + place.bytes > headBytes) {
      say(path, `found bytes ${place.at} to ${place.at + place.bytes - 1}, allowed 0 to ${headBytes - 1}, the head`)
      continue
    }
    let other: string | undefined
    for (let at = place.at; at < place.at + place.bytes; at++) {
      // what a reply has in place of a request's time-out may share its bytes
      const before = taken.get(at)
      const isShared = (before === 'status' && name === 'timeout') || (before === 'timeout' && name === 'status')
      if (before !== undefined && !isShared) other = before
      taken.set(at, name)
    }
    if (other !== undefined) say(path, `overlaps ${other}`)
  }

  const most = 2 ** (8 * type.bytes) - 1
  if (type.mask > most) say(['type', 'mask'], `found ${type.mask}, allowed at most ${most} in ${type.bytes} bytes`)
  const kinds = ['request', 'reply', 'oneWay', 'heartbeat', 'heartbeatReply', 'goAway'] as const
  const seen = new Map<number, string>()
  for (const kind of kinds) {
    const value = type[kind]
    if (value === undefined) continue
    if ((value & ~type.mask) !== 0) say(['type', kind], `found ${value}, which has bits outside the mask ${type.mask}`)
    const other = seen.get(value)
    if (other !== undefined) say(['type', kind], `found ${value}, which is ${other} already`)
    seen.set(value, kind)
  }
  if (type.heartbeat !== undefined && type.heartbeatReply === undefined) {
    say(['type', 'heartbeat'], 'needs heartbeatReply, with which it is answered')
  }
  const mostStatus = 2 ** (8 * status.bytes) - 1
  for (const value of [...status.ok, status.error, ...Object.keys(status.http).map(Number)]) {
    if (value > mostStatus) say(['status'], `found ${value}, allowed at most ${mostStatus} in ${status.bytes} bytes`)
  }
  if (status.ok.includes(status.error)) say(['status', 'error'], `found ${status.error}, which is ok already`)
  const { method, service } = attributes
  if (service === method) say(['attributes', 'method'], `found "${method}", which is the service already`)
  return problems
}

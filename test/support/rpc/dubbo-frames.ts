/** Frames of Dubbo 2 as an application writes them, for tests. */
import { hessianString } from '../../../rpc/dubbo/hessian.ts'

export const hessianText = (text: string): Buffer => hessianString(text)!

export interface DubboParts {
  readonly flags?: number
  readonly id?: number
  readonly status?: number
  readonly body?: Buffer
}

export function dubboFrame({ body = Buffer.alloc(0), flags = 0xc2, id = 7, status = 0 }: DubboParts): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(0xda_bb, 0)
  head[2] = flags
  head[3] = status
  head.writeUInt32BE(id, 8)
  head.writeInt32BE(body.length, 12)
  return Buffer.concat([head, body])
}

export interface DubboCall extends DubboParts {
  readonly types?: string
  readonly arguments?: Buffer
  readonly attachments?: readonly (readonly [string, string])[]
}

export function dubboRequest(service: string, method: string, call: DubboCall = {}): Buffer {
  const { attachments = [], types = 'Ljava/lang/String;' } = call
  const body = Buffer.concat([
    ...['2.0.2', service, '1.0.0', method, types].map(hessianText),
    call.arguments ?? hessianText('the argument'),
    Buffer.from('H'),
    ...[...attachments, ['path', service] as const].flat().map(hessianText),
    Buffer.from('Z'),
  ])
  return dubboFrame({ ...call, body })
}

/** A value, with the mark of one that is no exception. */
export function dubboReply(id: number, text: string, status = 20): Buffer {
  const body = status === 20 ? Buffer.concat([Buffer.from([0x91]), hessianText(text)]) : hessianText(text)
  return dubboFrame({ flags: 0x02, id, status, body })
}

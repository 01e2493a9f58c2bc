/** What goes wrong between a Nacos client and us, in Nacos's own codes. */

interface FaultFacts {
  readonly http: number
  /** `errorCode` of a gRPC response. */
  readonly rpc: number
  /** `code` of a v2/v3 HTTP answer. */
  readonly v2: number
}

/** Source: NacosException and model.v2.ErrorCode of the Nacos 2.3.1 api module. */
const facts = {
  'parameter-missing': { http: 400, rpc: 400, v2: 10000 },
  'parameter-invalid': { http: 400, rpc: 400, v2: 20002 },
  'service-name': { http: 400, rpc: 400, v2: 21000 },
  weight: { http: 400, rpc: 400, v2: 21001 },
  metadata: { http: 400, rpc: 400, v2: 21002 },
  instance: { http: 400, rpc: 400, v2: 21004 },
  'instance-unknown': { http: 404, rpc: 404, v2: 21003 },
  'service-exists': { http: 400, rpc: 400, v2: 21007 },
  'service-unknown': { http: 400, rpc: 400, v2: 21008 },
  'service-in-use': { http: 400, rpc: 400, v2: 21009 },
  'not-found': { http: 404, rpc: 404, v2: 20004 },
  conflict: { http: 409, rpc: 409, v2: 20005 },
  denied: { http: 403, rpc: 403, v2: 10001 },
  'no-such-api': { http: 404, rpc: 302, v2: 20004 },
  'too-large': { http: 413, rpc: 400, v2: 20002 },
  'over-limit': { http: 503, rpc: 503, v2: 30000 },
  unsupported: { http: 501, rpc: 302, v2: 30000 },
  server: { http: 500, rpc: 500, v2: 30000 },
} as const satisfies Record<string, FaultFacts>

export type FaultKind = keyof typeof facts

/** A refusal that the client is told about. `message` is for people and holds no secret. */
export class NacosFault extends Error {
  readonly kind: FaultKind
  readonly http: number
  readonly rpc: number
  readonly v2: number

  constructor(kind: FaultKind, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'NacosFault'
    this.kind = kind
    const { http, rpc, v2 } = facts[kind]
    this.http = http
    this.rpc = rpc
    this.v2 = v2
  }
}

export function overLimit(limit: string, found: number, allowed: number): NacosFault {
  return new NacosFault('over-limit', `${limit}: ${found} asked for, ${allowed} allowed; nothing was changed`)
}

/** Any error as a fault; what is not one is a bug or the mesh's answer, and the client hears its text. */
export function asFault(error: unknown): NacosFault {
  if (error instanceof NacosFault) return error
  return new NacosFault('server', error instanceof Error ? error.message : String(error), { cause: error })
}

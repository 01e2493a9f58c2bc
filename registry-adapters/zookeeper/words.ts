/**
 * Numbers of ZooKeeper's protocol. Source: org.apache.zookeeper.{ZooDefs,KeeperException,Watcher} of Apache ZooKeeper
 * 3.9.
 */
import { MeshError } from '../../contracts/errors.ts'

export const Op = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  ping: 11,
  getChildren2: 12,
  multi: 14,
  auth: 100,
  closeSession: -11,
} as const

/** Request ids that mean something else than a request. */
export const Xid = { notification: -1, ping: -2, auth: -4 } as const

export const Code = {
  ok: 0,
  noNode: -101,
  noAuth: -102,
  noChildrenForEphemerals: -108,
  nodeExists: -110,
  notEmpty: -111,
  sessionExpired: -112,
  invalidAcl: -114,
  authFailed: -115,
  sessionMoved: -118,
} as const

const words: Readonly<Record<number, string>> = {
  [Code.noNode]: 'no such node',
  [Code.noAuth]: 'not allowed',
  [Code.noChildrenForEphemerals]: 'the parent is an ephemeral node',
  [Code.nodeExists]: 'the node exists',
  [Code.notEmpty]: 'the node has children',
  [Code.sessionExpired]: 'the session expired',
  [Code.invalidAcl]: 'the access list is not valid',
  [Code.authFailed]: 'the credentials are refused',
  [Code.sessionMoved]: 'the session moved to another server',
}

/** A server's refusal of one request. */
export class ZooKeeperRefusal extends MeshError {
  /** ZooKeeper's own number, see `Code`. */
  readonly number: number

  constructor(number: number, what: string) {
    const isDenied = number === Code.noAuth || number === Code.authFailed || number === Code.invalidAcl
    super(
      isDenied ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_PROTOCOL',
      `${what}: ${words[number] ?? 'refused'} (ZooKeeper error ${number})`,
    )
    this.number = number
  }
}

export function isRefusal(error: unknown, number: number): boolean {
  return error instanceof ZooKeeperRefusal && error.number === number
}

/**
 * `@hostmesh/sdk`: what an application links to have the mesh's three tiers, and to move in and out of it while it
 * runs.
 */
import type { RpcDescription } from '../contracts/rpc-description.ts'
import { BoltCodec } from '../rpc/bolt/bolt.ts'
import type { RpcCodec } from '../rpc/codec.ts'
import { DeclaredCodec } from '../rpc/declared/declared.ts'
import { descriptionProblems } from '../rpc/declared/problems.ts'
import { DubboCodec } from '../rpc/dubbo/dubbo.ts'
import { ThriftCodec } from '../rpc/thrift/thrift.ts'
import { MeshError } from '../contracts/errors.ts'
import { ApplicationMesh } from './mesh.ts'
import type { MeshOptions } from './options.ts'
import type { Mesh } from './types.ts'

export { MeshError } from '../contracts/errors.ts'
export type { ErrorCode, RetryAdvice } from '../contracts/errors.ts'
export type {
  BodyTransform,
  FilterAnswer,
  FilterFields,
  FilterHost,
  FilterReply,
  FilterRequest,
  FilterSays,
  MakeFilter,
  UserFilter,
} from '../contracts/user-filter.ts'
export type { RpcDescription } from '../contracts/rpc-description.ts'
export type { RpcCodec } from '../rpc/codec.ts'
export type { MeshLog, MeshOptions, Mode, NacosOptions } from './options.ts'
export type { MeshStatus, ServedBy, ServiceEndpoints, ActiveMode } from './status.ts'
export type { Mesh, MeshDispatcher, Registered, RegisterOptions, RpcCallOptions, RpcClient } from './types.ts'

/** Throws E_CONFIG_INVALID with every problem of the options. Waits for nobody: `ready()` does. */
export function createMesh(options: MeshOptions): Mesh {
  return new ApplicationMesh(options)
}

export const bolt = (): RpcCodec => new BoltCodec()
export const dubbo = (): RpcCodec => new DubboCodec()
export const thrift = (): RpcCodec => new ThriftCodec()

/** A protocol of one's own, in the words of `rpcProtocols` in `agent.yaml`. Throws E_CONFIG_INVALID. */
export function described(name: string, description: RpcDescription): RpcCodec {
  const problems = descriptionProblems(description)
  if (problems.length > 0)
    throw new MeshError(
      'E_CONFIG_INVALID',
      problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
    )
  return new DeclaredCodec(name, description)
}

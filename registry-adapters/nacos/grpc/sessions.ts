/**
 * What the adapter asks of a gRPC session. Sessions are handed in by whoever makes the adapter, so that one who speaks
 * HTTP alone loads no gRPC.
 */
import { MeshError } from '../../../contracts/errors.ts'
import type { GrpcSession } from './session.ts'

export type NacosSession = Pick<GrpcSession, 'connection' | 'failedRounds' | 'start' | 'close' | 'request'>

export type MakeSession = (...parts: ConstructorParameters<typeof GrpcSession>) => NacosSession

/** For `transport: 'http'`: there never is a connection. */
export const noSession: MakeSession = ({ registry }) => ({
  connection: undefined,
  failedRounds: 0,
  start: () => undefined,
  close: () => undefined,
  request: () =>
    Promise.reject(new MeshError('E_REGISTRY_UNREACHABLE', `registry ${registry}: spoken to over HTTP alone`)),
})

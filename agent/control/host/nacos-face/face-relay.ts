/** Where the watchdog may take Nacos clients while no control answers them (`contracts/host-face.ts`). */
import type { FaceRelay } from '../../../../contracts/host-face.ts'
import { formatHostPort } from '../../config/scalars.ts'
import type { AgentConfig } from '../../config/types.ts'

/** undefined = nobody could stand for it, or there is none. */
export function faceRelay({ nacosFace, center }: AgentConfig): FaceRelay | undefined {
  const { reports } = center
  if (!nacosFace.enabled || reports === undefined) return undefined
  const { address, httpPort, grpcPort } = nacosFace
  const { servers, tokenFile, tls } = reports
  return { address, httpPort, grpcPort, servers: servers.map(formatHostPort), tokenFile, tls }
}

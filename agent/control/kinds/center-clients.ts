/** HTTP to the API of centers, one client for each: all of them are told, not one of them. */
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { HttpClient } from '../../../registry-adapters/http/http-client.ts'
import type { ReportsSection } from '../config/center-section.ts'
import { tokenAccess } from './token-access.ts'

export type CenterClient = Pick<HttpClient, 'ask' | 'close' | 'server'>

/** Rejects with E_CONFIG_UNREADABLE for a file that cannot be read now. */
export async function centerClients(
  section: ReportsSection,
  { clock, random }: Pick<AdapterDeps, 'clock' | 'random'>,
): Promise<CenterClient[]> {
  const { HttpClient } = await import('../../../registry-adapters/http/http-client.ts')
  const { token, tls } = tokenAccess(section)
  const headers = (): Record<string, string> => {
    const secret = token()
    return secret === undefined ? {} : { authorization: `Bearer ${secret}` }
  }
  return section.servers.map((server) => new HttpClient({ servers: [server], tls, headers, clock, random }))
}

/** `hostmesh join`: the first certificate of a host, for a token. The key is made here and never leaves the host. */
import { chownSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { checkNode } from '../node-kinds.ts'
import { formatHostPort, parseHostPort } from '../../agent/control/config/scalars.ts'
import { systemReason } from '../../agent/control/config/yaml-file.ts'
import { writeChecked } from '../../agent/control/core/state/checked-file.ts'
import { joinCenter, pinnedTrust } from '../../agent/control/host/identities/ca-client.ts'
import { identitiesFormat, type KeptIdentities } from '../../agent/control/host/identities/kept-identities.ts'
import { keyAndRequest } from '../../agent/control/host/identities/signing-request.ts'
import { MeshError } from '../../contracts/errors.ts'
import { parseJoinToken } from '../../contracts/join-token.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import { hostId, isHostName } from '../../contracts/spiffe-id.ts'
import { makePrivateDirectory } from '../../native/private-directory.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface JoinWords {
  readonly config: string
  readonly tokenFile: string
  readonly center?: string
  readonly caPin?: string
}

/** Longest content of a token file. */
const maxTokenBytes = 1024

/** Rejects with E_CA_REFUSED, E_CA_UNREACHABLE, E_CONFIG_INVALID, E_CONFIG_UNREADABLE or E_RUN_DIRECTORY. */
export async function joinHost(output: Output, words: JoinWords): Promise<ExitCode> {
  const { config } = checkNode(words.config)
  if (config === undefined)
    throw new MeshError('E_CONFIG_INVALID', `${words.config}: has problems; \`hostmesh check\` lists them`)
  const { name } = config.host
  if (!isHostName(name))
    throw new MeshError(
      'E_CONFIG_INVALID',
      `host.name: found "${name}", allowed for a certificate are letters, digits and . _ -`,
    )
  const token = readToken(words.tokenFile)
  const pin = words.caPin?.toLowerCase().replace(/^sha256:/, '') ?? token.pin
  const center = words.center === undefined ? config.identity.authorities[0] : parseHostPort(words.center, true)
  if (center === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `--center: found ${words.center === undefined ? 'nothing, and no identity.authorities in the configuration' : `"${words.center}"`}, allowed host:port`,
    )
  const distrust = makePrivateDirectory(config.stateDir)
  if (distrust !== undefined) throw new MeshError('E_RUN_DIRECTORY', `${config.stateDir}: ${distrust}`)
  const trust = await pinnedTrust(center, pin)
  const { key, request } = await keyAndRequest(hostId(trust.trustDomain, name))
  const issued = await joinCenter(center, trust, { token: token.text, host: name, request })
  const kept: KeptIdentities = {
    trustDomain: issued.trustDomain,
    trustBundle: issued.trustBundle,
    certificates: [{ id: issued.id, chain: issued.chain, key }],
  }
  const file = join(config.stateDir, stateFiles.joined)
  await writeChecked(file, identitiesFormat, kept)
  giveToOwnerOf(config.stateDir, file)
  const ends = new Date(issued.notAfter).toISOString()
  if (output.isJson) output.json({ id: issued.id, notAfter: issued.notAfter, center: formatHostPort(center) })
  else output.line(`${issued.id} until ${ends}; the agent takes it up by itself`)
  return exitCodes.ok
}

/** Root may join for the user that the agent runs as. */
function giveToOwnerOf(directory: string, file: string): void {
  const { uid, gid } = statSync(directory)
  if (process.getuid?.() === 0 && uid !== 0) chownSync(file, uid, gid)
}

function readToken(file: string): { text: string; pin: string } {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: cannot be read: ${systemReason(cause)}`, { cause })
  }
  const token = text.length > maxTokenBytes ? undefined : parseJoinToken(text)
  if (token === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${file}: ${text.length} characters that are no token; allowed is what \`hostmesh ca token\` printed`,
    )
  return { text, pin: token.pin }
}

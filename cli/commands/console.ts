/** `hostmesh console`: where the console of a node is, and how a browser on another machine gets there. */
import { checkNode } from '../node-kinds.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { formatHostPort, type HostPort } from '../../agent/control/config/scalars.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'

export interface ConsolePlace {
  readonly url: string
  readonly isTls: boolean
  /** Only from the machine itself, so a browser elsewhere needs a tunnel. */
  readonly isLocal: boolean
  readonly needsToken: boolean
  readonly port: number
}

/** Reads the file alone: the node need not run. Throws E_CONFIG_INVALID where there is no console. */
export function showConsole(output: Output, configFile: string): ExitCode {
  const { config } = checkNode(configFile)
  if (config === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      `${configFile}: has problems; \`hostmesh check -c ${configFile}\` lists them`,
    )
  const place = consolePlace(config, configFile)
  if (output.isJson) output.json(place)
  else {
    output.line(place.url)
    if (place.isLocal) {
      output.line(`from another machine: ssh -N -L ${place.port}:${hostOf(place)} USER@${config.host.name}`)
      output.line(`and then ${place.isTls ? 'https' : 'http'}://127.0.0.1:${place.port}/console/`)
    }
    if (place.needsToken) output.line('sign in with a token of rulesApi.tokensFile that reads all namespaces')
  }
  return exitCodes.ok
}

function hostOf({ url }: ConsolePlace): string {
  return new URL(url).host
}

interface RulesPort {
  readonly address: HostPort
  readonly tls?: object | undefined
  readonly withoutToken: string
}

function consolePlace(config: AgentConfig & { readonly rulesApi?: RulesPort }, file: string): ConsolePlace {
  if (config.role === 'center') {
    const { rulesApi } = config
    if (rulesApi === undefined)
      throw new MeshError('E_CONFIG_INVALID', `${file}: rulesApi: missing; the console of a center is on its port`)
    return placeAt(rulesApi.address, rulesApi.tls !== undefined, rulesApi.withoutToken === 'none')
  }
  const { address } = config.admin
  if (address === 'off')
    throw new MeshError('E_CONFIG_INVALID', `${file}: admin.address: off; the console of an agent is on that port`)
  return placeAt(address, false, false)
}

function placeAt(address: HostPort, isTls: boolean, needsToken: boolean): ConsolePlace {
  const url = `${isTls ? 'https' : 'http'}://${formatHostPort(address)}/console/`
  return { url, isTls, isLocal: isLoopback(address.host), needsToken, port: address.port }
}

/** The sections `store`, `rulesApi` and `xds`: their paths made absolute, and what no single field of them can tell. */
import { readFileSync } from 'node:fs'
import type { Report } from '../../agent/control/config/node-kind.ts'
import { reportFile } from '../../agent/control/config/readable-file.ts'
import { locatedTls, namedTlsFiles } from '../../agent/control/kinds/tls-files.ts'
import { nacosKind } from '../../agent/control/kinds/nacos.ts'
import { isLoopback } from '../../contracts/ip-literal.ts'
import { readLogins } from '../rules-api/tokens.ts'
import { registryOf } from '../store/nacos-registry.ts'
import type { CenterFile } from './schema.ts'
import type { RulesApiConfig, StoreConfig, XdsConfig } from './types.ts'

export function locatedStore(
  store: CenterFile['store'],
  stateDir: string,
  absolute: (path: string) => string,
): StoreConfig {
  if (store.type === 'files')
    return { type: 'files', directory: store.directory === undefined ? `${stateDir}/store` : absolute(store.directory) }
  if (store.type === 'nacos') {
    const { usernameFile, passwordFile, accessKeyFile, secretKeyFile, tls } = nacosKind.located(
      registryOf(store),
      absolute,
    )
    return { ...store, usernameFile, passwordFile, accessKeyFile, secretKeyFile, tls }
  }
  const { usernameFile, passwordFile, tls } = store
  return {
    ...store,
    usernameFile: usernameFile === undefined ? undefined : absolute(usernameFile),
    passwordFile: passwordFile === undefined ? undefined : absolute(passwordFile),
    tls: tls === undefined ? undefined : locatedTls(tls, absolute),
  }
}

export function locatedPort<Port extends RulesApiConfig | XdsConfig>(
  api: Port,
  absolute: (path: string) => string,
): Port {
  const { tls, tokensFile } = api
  return {
    ...api,
    tls: tls === undefined ? undefined : { cert: absolute(tls.cert), key: absolute(tls.key) },
    tokensFile: tokensFile === undefined ? undefined : absolute(tokensFile),
  }
}

export function storeProblems(store: StoreConfig, report: Report): void {
  if (store.type === 'files') return
  if (store.type === 'nacos') {
    const section = registryOf(store)
    for (const problem of nacosKind.conflicts(section)) report(['store'], problem)
    for (const { path, file, isSecret } of nacosKind.files(section))
      reportFile(report, ['store', ...path], file, isSecret)
    return
  }
  const { usernameFile, passwordFile, tls } = store
  if ((usernameFile === undefined) !== (passwordFile === undefined))
    report(['store'], 'usernameFile and passwordFile belong together, one is missing')
  reportFile(report, ['store', 'usernameFile'], usernameFile, true)
  reportFile(report, ['store', 'passwordFile'], passwordFile, true)
  for (const { path, file, isSecret } of namedTlsFiles(tls)) reportFile(report, ['store', ...path], file, isSecret)
}

export function portProblems(section: string, port: RulesApiConfig | XdsConfig | undefined, report: Report): void {
  if (port === undefined) return
  const { address, tls, tokensFile, withoutToken } = port
  const takesCertificates = 'clientCertificates' in port && port.clientCertificates
  if (!isLoopback(address.host) && tls === undefined)
    report([section, 'tls'], `missing; ${address.host} is no loopback address, and tokens would be read on the way`)
  if (!isLoopback(address.host) && withoutToken !== 'none')
    report([section, 'withoutToken'], `found ${withoutToken}, allowed none: ${address.host} is no loopback address`)
  if (takesCertificates && tls === undefined)
    report([section, 'clientCertificates'], `needs ${section}.tls: who speaks in plain shows no certificate`)
  if (tokensFile === undefined && withoutToken === 'none' && !takesCertificates)
    report([section, 'tokensFile'], 'missing; nobody could use it. Or say withoutToken, for callers on this machine')
  reportFile(report, [section, 'tls', 'cert'], tls?.cert, false)
  reportFile(report, [section, 'tls', 'key'], tls?.key, true)
  tokenProblems([section, 'tokensFile'], tokensFile, report)
}

function tokenProblems(path: readonly string[], file: string | undefined, report: Report): void {
  if (!reportFile(report, path, file, true) || file === undefined) return
  try {
    readLogins(readFileSync(file, 'utf8'))
  } catch (error) {
    report(path, `${file} cannot be used: ${(error as Error).message}`)
  }
}

/** The one table of registry adapters: from a section of `agent.yaml` to an adapter. Adapters are loaded only when they are configured. */
import { readFileSync } from 'node:fs'
import { MeshError } from '../../../contracts/errors.ts'
import type { AdapterDeps, RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import type { NacosAdapterConfig, NacosCredentials, NacosTls } from '../../../registry-adapters/nacos/index.ts'
import { formatHostPort } from '../config/scalars.ts'
import type { NacosRegistryFile, RegistryFile } from '../config/schema.ts'
import type { AgentConfig } from '../config/types.ts'
import { systemReason } from '../config/yaml-file.ts'

/** Longest user name, password or key that is read from a file. */
const maxSecretBytes = 65_536

/** The adapters in order of precedence, not started. Throws E_CONFIG_UNREADABLE for a secret or certificate that cannot be read. */
export async function createAdapters(
  config: AgentConfig,
  deps: AdapterDeps,
  isOwnPort: (address: string, port: number) => boolean,
): Promise<RegistryAdapter[]> {
  const made: RegistryAdapter[] = []
  for (const registry of config.registries) made.push(await createAdapter(registry, config, deps, isOwnPort))
  return made
}

async function createAdapter(
  registry: RegistryFile,
  config: AgentConfig,
  deps: AdapterDeps,
  isOwnPort: (address: string, port: number) => boolean,
): Promise<RegistryAdapter> {
  const allowLoopback = config.endpoints.allowLoopbackEndpoints
  switch (registry.type) {
    case 'nacos': {
      const { createNacosAdapter } = await import('../../../registry-adapters/nacos/index.ts')
      const tls = tlsOf(registry)
      const adapterConfig: NacosAdapterConfig = {
        name: registry.name,
        servers: registry.servers.map(formatHostPort),
        namespace: registry.namespace,
        groups: [registry.group],
        grpcPortOffset: registry.grpcPortOffset,
        credentials: credentialsOf(registry),
        ...(tls === undefined ? {} : { tls }),
        api: registry.api,
        endpoints: { allowLoopback, allowLinkLocal: false, isOwnPort, maxEndpoints: config.endpoints.maxPerService },
        hostAddress: config.host.address,
      }
      return createNacosAdapter(adapterConfig, deps)
    }
    case 'file': {
      const { createFileAdapter } = await import('../../../registry-adapters/file/index.ts')
      return createFileAdapter({ name: registry.name, directory: registry.directory, allowLoopback }, deps)
    }
  }
}

function credentialsOf(registry: NacosRegistryFile): NacosCredentials {
  const { usernameFile, passwordFile, accessKeyFile, secretKeyFile } = registry
  if (usernameFile !== undefined && passwordFile !== undefined)
    return { kind: 'password', username: secret(usernameFile), password: secret(passwordFile) }
  if (accessKeyFile !== undefined && secretKeyFile !== undefined)
    return { kind: 'access-key', accessKey: secret(accessKeyFile), secretKey: secret(secretKeyFile) }
  return { kind: 'none' }
}

function tlsOf(registry: NacosRegistryFile): NacosTls | undefined {
  if (registry.tls === undefined) return undefined
  const { ca, cert, key } = registry.tls
  return {
    ...(ca === undefined ? {} : { ca: text(ca) }),
    ...(cert === undefined ? {} : { cert: text(cert) }),
    ...(key === undefined ? {} : { key: text(key) }),
  }
}

/** Without the line end that editors leave. */
function secret(file: string): string {
  return text(file).replace(/\r?\n$/, '')
}

function text(file: string): string {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new MeshError(
      'E_CONFIG_UNREADABLE',
      `${file}: cannot be read: ${systemReason(cause)}; control does not start without it`,
      { cause },
    )
  }
  if (content.length === 0 || content.length > maxSecretBytes)
    throw new MeshError('E_CONFIG_UNREADABLE', `${file}: ${content.length} characters, allowed 1 to ${maxSecretBytes}`)
  return content
}

/**
 * Where and as whom a Kubernetes API server is asked: from a kubeconfig, or from what a pod is given. Files are read
 * anew for each connection, since tokens and certificates in them are replaced.
 */
import { dirname, isAbsolute, join } from 'node:path'
import { parse } from 'yaml'
import * as z from 'zod'
import { MeshError } from '../../../contracts/errors.ts'
import type { ClusterAccess } from '../../../registry-adapters/kubernetes/index.ts'
import { readSecret, readText } from './secret-file.ts'
import { withoutBrackets } from '../../../contracts/ip-literal.ts'

const podFiles = '/var/run/secrets/kubernetes.io/serviceaccount'

const text = z.string().min(1)
const kubeconfigShape = z.looseObject({
  'current-context': text.optional(),
  contexts: z
    .array(z.looseObject({ name: text, context: z.looseObject({ cluster: text, user: text.optional() }) }))
    .default([]),
  clusters: z
    .array(
      z.looseObject({
        name: text,
        cluster: z.looseObject({
          server: text,
          'certificate-authority': text.optional(),
          'certificate-authority-data': text.optional(),
          'insecure-skip-tls-verify': z.boolean().optional(),
        }),
      }),
    )
    .default([]),
  users: z
    .array(
      z.looseObject({
        name: text,
        user: z.looseObject({
          token: text.optional(),
          tokenFile: text.optional(),
          'client-certificate': text.optional(),
          'client-certificate-data': text.optional(),
          'client-key': text.optional(),
          'client-key-data': text.optional(),
        }),
      }),
    )
    .default([]),
})

/** What a user entry may hold that we do not do. */
const unknownWays = ['exec', 'auth-provider', 'username'] as const

export interface ClusterWords {
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
}

/** Throws E_CONFIG_UNREADABLE or E_CONFIG_INVALID, with what is wrong in which file. */
export function clusterAccess({ kubeconfig, context }: ClusterWords): ClusterAccess {
  if (kubeconfig === undefined) return podAccess(process.env)
  const access = readKubeconfig(kubeconfig, context)
  // said now, not with the first connection
  access.tls()
  access.token()
  return access
}

function podAccess(env: Readonly<Record<string, string | undefined>>): ClusterAccess {
  const [host, port] = [env['KUBERNETES_SERVICE_HOST'], Number(env['KUBERNETES_SERVICE_PORT'] ?? 443)]
  if (host === undefined)
    throw new MeshError(
      'E_CONFIG_INVALID',
      'registries: type kubernetes without kubeconfig: this is no pod (KUBERNETES_SERVICE_HOST is not set); name a kubeconfig',
    )
  return {
    server: { host, port },
    tls: () => ({ ca: readText(join(podFiles, 'ca.crt')) }),
    token: () => readSecret(join(podFiles, 'token')),
  }
}

function readKubeconfig(file: string, context: string | undefined): ClusterAccess {
  const fail = (what: string): MeshError => new MeshError('E_CONFIG_INVALID', `${file}: ${what}`)
  const parsed = kubeconfigShape.safeParse(parse(readText(file), { maxAliasCount: 10 }))
  if (!parsed.success) throw fail(`is no kubeconfig: ${parsed.error.issues[0]?.path.join('.')}`)
  const config = parsed.data
  const wanted = context ?? config['current-context']
  const chosen = config.contexts.find(({ name }) => name === wanted)?.context
  if (chosen === undefined)
    throw fail(`context: found "${wanted}", allowed ${config.contexts.map(({ name }) => name).join(', ')}`)
  const cluster = config.clusters.find(({ name }) => name === chosen.cluster)?.cluster
  if (cluster === undefined) throw fail(`cluster: "${chosen.cluster}" is not there`)
  const user = config.users.find(({ name }) => name === chosen.user)?.user ?? {}
  for (const way of unknownWays)
    if (way in user)
      throw fail(`user "${chosen.user}": ${way} is not implemented; use a token, tokenFile or client certificate`)
  if (cluster['insecure-skip-tls-verify'] === true)
    throw fail(
      `cluster "${chosen.cluster}": insecure-skip-tls-verify is not implemented; give its certificate-authority`,
    )
  const url = new URL(cluster.server)
  const content = (path: string | undefined, data: string | undefined): string | undefined => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString()
    if (path === undefined) return undefined
    return readText(isAbsolute(path) ? path : join(dirname(file), path))
  }
  const isSecure = url.protocol === 'https:'
  return {
    server: {
      host: withoutBrackets(url.hostname),
      port: Number(url.port || (isSecure ? 443 : 80)),
      prefix: url.pathname.replace(/\/$/, ''),
    },
    tls: () => {
      if (!isSecure) return undefined
      const ca = content(cluster['certificate-authority'], cluster['certificate-authority-data'])
      const cert = content(user['client-certificate'], user['client-certificate-data'])
      const key = content(user['client-key'], user['client-key-data'])
      return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
    },
    token: () => user.token ?? (user.tokenFile === undefined ? undefined : readSecret(user.tokenFile)),
  }
}

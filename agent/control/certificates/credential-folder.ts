/**
 * What this host shows to servers that are not of the mesh, and by which roots it knows them: a folder for each name
 * that rules may use (`credentialName`), with the files of a TLS secret of Kubernetes. Which files those are is the
 * operator's word, never that of whoever writes a rule.
 *
 * - `tls.crt` with `tls.key`: shown with MUTUAL
 * - `ca.crt`: roots of the servers; without it those of the system
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../contracts/clock.ts'
import { every } from '../../../contracts/clock.ts'
import { describeError } from '../../../contracts/errors.ts'
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'
import type { ClientCredential } from '../../../contracts/workload-certificate.ts'
import { fileStamp } from '../kinds/file-stamp.ts'
import { readText } from '../kinds/secret-file.ts'
import type { Log } from '../log.ts'
import { certificatesIn, invalid, requireKeyOf, requirePrivate } from './pem.ts'

/** The folder is looked at this often, ms. */
const lookMs = 2000
/** Names; those beyond it, in the order of the alphabet, are not there. */
const maxNames = 1000
const nameWord = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/
const files = ['tls.crt', 'tls.key', 'ca.crt'] as const

export interface CredentialFolderDeps {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: AdapterMetrics
  readonly onCredentials: (credentials: readonly ClientCredential[]) => void
}

interface Kept {
  stamp: string
  credential: ClientCredential | undefined
  /** Why the files as they are now are not in use. */
  problem: string | undefined
}

/** Files that cannot be used (half replaced, the key of another certificate) leave what was read before in use. */
export class CredentialFolder {
  private readonly deps: CredentialFolderDeps
  private readonly cancel: () => void
  private readonly kept = new Map<string, Kept>()
  private folder: string | undefined

  constructor(deps: CredentialFolderDeps) {
    this.deps = deps
    this.cancel = every(deps.clock, lookMs, () => this.look())
  }

  configure(folder: string): void {
    this.folder = folder
    this.look()
  }

  close(): void {
    this.cancel()
  }

  /** Of files that are not in use as they are now. */
  problems(): string[] {
    return [...this.kept.values()].flatMap(({ problem }) => problem ?? [])
  }

  private look(): void {
    const { folder } = this
    if (folder === undefined) return
    const names = namesIn(folder)
    let hasNews = false
    for (const name of this.kept.keys()) if (!names.includes(name)) hasNews = this.kept.delete(name) || hasNews
    for (const name of names) {
      const stamp = files.map((file) => fileStamp(join(folder, name, file))).join(', ')
      const one = this.kept.get(name) ?? { stamp: '', credential: undefined, problem: undefined }
      this.kept.set(name, one)
      if (one.stamp === stamp) continue
      one.stamp = stamp
      hasNews = true
      this.read(join(folder, name), name, one)
    }
    if (hasNews) this.deps.onCredentials([...this.kept.values()].flatMap(({ credential }) => credential ?? []))
  }

  private read(folder: string, name: string, one: Kept): void {
    const { log, metrics } = this.deps
    try {
      one.credential = readCredential(folder, name)
      one.problem = undefined
      log.info({ credential: name }, `${folder}: read`)
    } catch (error) {
      metrics.count('certificate_refusals', {})
      const rest = one.credential === undefined ? 'there is none of it' : 'what was read before stays in use'
      one.problem = `${describeError(error)}; ${rest}`
      log.error({ code: 'E_CERTIFICATE_INVALID' }, one.problem)
    }
  }
}

/** Throws E_CONFIG_UNREADABLE and E_CERTIFICATE_INVALID, without a byte of the key. */
function readCredential(folder: string, name: string): ClientCredential {
  const [chainFile, keyFile, rootsFile] = files.map((file) => join(folder, file)) as [string, string, string]
  const [hasChain, hasKey, hasRoots] = [chainFile, keyFile, rootsFile].map((file) => fileStamp(file) !== 'none')
  if (hasChain !== hasKey) throw invalid(folder, 'tls.crt and tls.key stand together or not at all')
  if (hasChain !== true && hasRoots !== true) throw invalid(folder, 'holds neither tls.crt with tls.key nor ca.crt')
  const roots = hasRoots === true ? readText(rootsFile) : undefined
  if (roots !== undefined) certificatesIn(roots, rootsFile)
  if (hasChain !== true) return { name, roots }
  requirePrivate(keyFile)
  const [chain, key] = [readText(chainFile), readText(keyFile)]
  const [leaf] = certificatesIn(chain, chainFile)
  requireKeyOf(leaf, chainFile, key, keyFile)
  return { name, chain, key, roots }
}

function namesIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    const found = entries.filter((entry) => entry.isDirectory() && nameWord.test(entry.name))
    return found
      .map(({ name }) => name)
      .sort()
      .slice(0, maxNames)
  } catch {
    // not there: nobody needs it
    return []
  }
}

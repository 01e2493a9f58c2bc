/** The key `tls` of a registry: certificates and a key in PEM files. */
import * as z from 'zod'
import { path } from '../config/scalars.ts'
import type { NamedFile } from './registry-kind.ts'
import { readText } from './secret-file.ts'

export const tlsFiles = z
  .strictObject({
    ca: path().optional().describe('Certificates of the authorities that the servers are checked against, PEM.'),
    cert: path().optional().describe('Our certificate for mutual TLS, PEM.'),
    key: path().optional().describe('Key of our certificate, PEM, readable by the agent only.'),
  })
  .describe('TLS towards the servers; absent = plain.')

export type TlsFiles = z.output<typeof tlsFiles>

export interface TlsTexts {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

const keys = ['ca', 'cert', 'key'] as const

export function namedTlsFiles(tls: TlsFiles | undefined): NamedFile[] {
  return keys.flatMap((key) => {
    const file = tls?.[key]
    return file === undefined ? [] : [{ path: ['tls', key], file, isSecret: key === 'key' }]
  })
}

export function locatedTls(tls: TlsFiles, absolute: (path: string) => string): TlsFiles {
  const made = { ...tls }
  for (const key of keys) if (tls[key] !== undefined) made[key] = absolute(tls[key])
  return made
}

/** Undefined: no TLS. Throws E_CONFIG_UNREADABLE. */
export function readTls(tls: TlsFiles): TlsTexts
export function readTls(tls: TlsFiles | undefined): TlsTexts | undefined
export function readTls(tls: TlsFiles | undefined): TlsTexts | undefined {
  if (tls === undefined) return undefined
  const made: { ca?: string; cert?: string; key?: string } = {}
  for (const key of keys) if (tls[key] !== undefined) made[key] = readText(tls[key])
  return made
}

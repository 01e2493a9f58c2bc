/**
 * What is kept on disk for a start at which neither agent nor registry answers: one JSON file with a checksum, mode
 * 0600, replaced whole, believed only when it is ours and every part of it has the form that was written.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { AgentDiscovery, DiscoveredService } from '../../contracts/sdk-discovery.ts'
import { describeError, MeshError } from '../../contracts/errors.ts'
import { readAddress, readCenterAddress } from '../options.ts'

const format = 1
/** Above it a file is not read: 2,000 services with 64 endpoints each are below 6 MiB. */
const maxFileBytes = 16 * 1024 * 1024

export interface Kept {
  readonly agent: AgentDiscovery | undefined
  /** Endpoints of the registry itself, `address:port`, by name as it is called. */
  readonly nacos: Readonly<Record<string, readonly string[]>>
  /** The newest good text of the mode's key; undefined = there was none. */
  readonly modeKey: string | undefined
}

/**
 * undefined = there is no such file. Throws E_SNAPSHOT_CORRUPT for one that is damaged, belongs to another user or may
 * be written by others.
 */
export function readKept(file: string): Kept | undefined {
  let text: string
  try {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const found = fstatSync(descriptor)
      const { mode, uid, size } = found
      // a pipe, for which others would let us wait
      if (!found.isFile()) throw corrupt(file, 'it is no regular file')
      if (uid !== process.getuid?.()) throw corrupt(file, `it belongs to user ${uid}`)
      if ((mode & 0o022) !== 0) throw corrupt(file, 'others may write it')
      if (size > maxFileBytes) throw corrupt(file, `${size} bytes, allowed ${maxFileBytes}`)
      text = readFileSync(descriptor, 'utf8')
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error instanceof MeshError ? error : corrupt(file, describeError(error))
  }
  const head = /^\{"format":(\d+),"checksum":"([0-9a-f]{64})","body":/.exec(text)
  if (head === null || Number(head[1]) !== format) throw corrupt(file, 'not of this form')
  const body = text.slice(head[0].length, -1)
  if (createHash('sha256').update(body).digest('hex') !== head[2]) throw corrupt(file, 'the checksum does not hold')
  const read: unknown = JSON.parse(body)
  const nacos = isRecord(read) && isRecord(read['nacos']) ? read['nacos'] : undefined
  if (!isRecord(read) || nacos === undefined || !Object.values(nacos).every(isAddresses))
    throw corrupt(file, 'a list of endpoints is none')
  const agent = read['agent'] === undefined ? undefined : readDiscovery(read['agent'])
  if (agent === null) throw corrupt(file, 'what the agent said is not of its form')
  const modeKey = read['modeKey']
  return {
    agent,
    nacos: nacos as Kept['nacos'],
    modeKey: typeof modeKey === 'string' ? modeKey : undefined,
  }
}

/** Replaces the file whole. Rejects with E_SNAPSHOT_WRITE; the old one is then untouched. */
export async function writeKept(file: string, kept: Kept): Promise<void> {
  const body = JSON.stringify(kept)
  const checksum = createHash('sha256').update(body).digest('hex')
  const temporary = `${file}.${process.pid}.tmp`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    await rm(temporary, { force: true })
    const handle = await open(temporary, 'wx', 0o600)
    try {
      await handle.writeFile(`{"format":${format},"checksum":"${checksum}","body":${body}}`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined)
    const why = `${file}: cannot be written: ${describeError(cause)}`
    throw new MeshError('E_SNAPSHOT_WRITE', `${why}; the old file stays and calls go on`, { cause })
  }
}

/** What an agent says, or what was kept of it; null = it is not of that form. */
export function readDiscovery(value: unknown): AgentDiscovery | null {
  if (!isRecord(value)) return null
  const { host, http, rpc, nacosFace, centers, centersWantProof, centersTakeUnnamed, services } = value
  const isGood =
    typeof host === 'string' &&
    (http === null || isAddress(http)) &&
    isRecord(rpc) &&
    Object.values(rpc).every(isAddress) &&
    (nacosFace === null || isAddress(nacosFace)) &&
    isList(centers, readCenterAddress) &&
    typeof centersWantProof === 'boolean' &&
    typeof centersTakeUnnamed === 'boolean' &&
    isRecord(services) &&
    Object.values(services).every((one) => one === null || isService(one))
  return isGood ? (value as unknown as AgentDiscovery) : null
}

function isService(value: unknown): value is DiscoveredService {
  return (
    isRecord(value) &&
    typeof value['service'] === 'string' &&
    typeof value['center'] === 'boolean' &&
    typeof value['direct'] === 'boolean' &&
    isAddresses(value['endpoints'])
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && readAddress(value) !== undefined
}

function isAddresses(value: unknown): value is readonly string[] {
  return isList(value, readAddress)
}

function isList(value: unknown, read: (text: string) => unknown): value is readonly string[] {
  const isGood = (one: unknown): boolean => typeof one === 'string' && read(one) !== undefined
  return Array.isArray(value) && value.length <= 10_000 && value.every(isGood)
}

function corrupt(file: string, why: string): MeshError {
  return new MeshError('E_SNAPSHOT_CORRUPT', `${file}: ${why}; starting without it, it will be written anew`)
}

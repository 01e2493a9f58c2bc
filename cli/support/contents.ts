/**
 * What is in a support bundle: this list and nothing else. `docs/doctor.md` has it, a test compares the two, and
 * `hostmesh support-bundle --list` prints it. Whoever adds a line looks whether it can hold a secret or what users
 * send.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { release as kernelRelease, loadavg, networkInterfaces, uptime } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments, stringify } from 'yaml'
import { mask } from '../../agent/control/admin/mask.ts'
import { stateFiles } from '../../contracts/run-directory.ts'
import { drillDirectory } from '../drill/drills.ts'
import type { AdminClient } from '../admin-client.ts'
import type { Facts } from '../doctor/facts.ts'
import { printed, unitOf } from '../service-manager.ts'

/** One file of the bundle. */
export interface Piece {
  readonly name: string
  /** Undefined = it could not be had, and why. */
  readonly text: string | undefined
  readonly problem?: string
  /** Where it is cut, when it is too long: logs lose their beginning. */
  readonly keeps: 'head' | 'tail'
}

export interface ContentLine {
  /** A file, or a folder with a file for each of something. */
  readonly name: string
  readonly holds: string
  collect(facts: Facts): Promise<readonly Piece[]> | readonly Piece[]
}

const mostFiles = 500
/** Of the configuration file and of each of its folders. */
const maxConfigBytes = 4 * 1024 * 1024
const newestReports = 20
const maxReportBytes = 8 * 1024 * 1024
const logLines = 20_000
/** Where so many are longer than what is read. */
const fewLogLines = 1000
/** For all pages of control together. */
const pagesMs = 20_000
const programTimeoutMs = 10_000

/** Pages of control; all are masked by it, none has a key or a request in it. */
const pages = {
  'ready.json': '/ready?format=json',
  'server_info.json': '/server_info?format=hostmesh',
  'configuration.json': '/config_dump?resource=configuration',
  'snapshot.json': '/config_dump?resource=snapshot',
  'listeners.json': '/listeners?format=hostmesh',
  'clusters.json': '/clusters?format=hostmesh',
  'ports.json': '/ports?format=json',
  'registrations.json': '/registrations?format=json',
  'rules.json': '/rules?format=json',
  'fallback.json': '/fallback?format=json',
  'certs.json': '/certs',
  'identities.json': '/identities?format=json',
  'mtls.json': '/mtls?format=json',
  'memory.json': '/memory',
  'metrics.txt': '/stats/prometheus',
} as const

export const contents: readonly ContentLine[] = [
  {
    name: 'configuration/',
    holds: 'the configuration file, `services.d` and `rules.d`: parsed, masked and written anew, so without comments',
    collect: ({ config, file }) => [
      yamlPiece('configuration/node.yaml', file, maxConfigBytes).piece,
      ...(config === undefined
        ? []
        : [...yamlFolder('services.d', config.servicesDir), ...yamlFolder('rules.d', config.rulesDir)]),
    ],
  },
  {
    name: 'control/',
    holds: `pages of control, as it masks them: ${Object.keys(pages).join(', ')}`,
    collect: async ({ admin, pages: heard }) => {
      const deadline = performance.now() + pagesMs
      const pieces: Piece[] = []
      // one after another: each may be long
      for (const [name, path] of Object.entries(pages)) {
        const at = `control/${name}`
        if (admin === undefined || heard.kind === 'silence')
          pieces.push(missing(at, heard.kind === 'silence' ? heard.why : 'nobody to ask'))
        else if (performance.now() > deadline)
          pieces.push(missing(at, `not asked: the pages before it took ${pagesMs / 1000} s`))
        else pieces.push(await pagePiece(admin, at, path))
      }
      return pieces
    },
  },
  {
    name: 'watchdog.json',
    holds: 'what the watchdog supervises, relays and holds, with the newest restart reports',
    collect: ({ watchdog }) => [
      watchdog.kind === 'answer'
        ? { name: 'watchdog.json', text: json(watchdog.value), keeps: 'head' }
        : missing('watchdog.json', watchdog.why),
    ],
  },
  {
    name: 'reports/',
    holds: `the newest ${newestReports} restart reports`,
    collect: ({ config }) =>
      config === undefined ? [] : newest(join(config.stateDir, stateFiles.reports), /\.json$/, 'reports'),
  },
  {
    name: 'drills/',
    holds: `the newest ${newestReports} reports of drills`,
    collect: ({ config }) => (config === undefined ? [] : newest(drillDirectory(config), /\.json$/, 'drills')),
  },
  {
    name: 'files.txt',
    holds: 'names, modes, owners, sizes and times of the files in the run and the state directory; not what is in them',
    collect: ({ config }) => [
      {
        name: 'files.txt',
        text: config === undefined ? '' : [config.runDir, config.stateDir].flatMap(listed).join('\n'),
        keeps: 'head',
      },
    ],
  },
  {
    name: 'journal.txt',
    holds: `the last ${logLines} lines of the unit's journal; there is no access log in it unless it is written there`,
    collect: async ({ config, watchdog }) => {
      const pid = watchdog.kind === 'answer' ? watchdog.value.pid : 0
      const unit = unitOf(pid) ?? (config?.role === 'center' ? 'hostmesh-center.service' : 'hostmesh.service')
      const last = (lines: number): Promise<string | undefined> => {
        const words = ['-u', unit, '-n', String(lines), '-o', 'short-iso', '--no-pager']
        return printed('journalctl', words, programTimeoutMs)
      }
      const text = (await last(logLines)) ?? (await last(fewLogLines))
      return [
        text === undefined
          ? missing('journal.txt', `no journal of ${unit} can be read here`)
          : { name: 'journal.txt', text, keeps: 'tail' },
      ]
    },
  },
  {
    name: 'machine.txt',
    holds: 'kernel, distribution, load, memory, sockets, ports of the kernel, addresses of interfaces, clock',
    collect: () => [{ name: 'machine.txt', text: machine(), keeps: 'head' }],
  },
]

const json = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

function missing(name: string, problem: string): Piece {
  return { name, text: undefined, problem, keeps: 'head' }
}

async function pagePiece(admin: AdminClient, name: string, path: string): Promise<Piece> {
  try {
    const { status, text } = await admin.get(path)
    const isAnswer = status === 200 || path.startsWith('/ready')
    return isAnswer ? { name, text, keeps: 'head' } : missing(name, `status ${status}`)
  } catch (error) {
    return missing(name, (error as Error).message)
  }
}

/** A file that is not understood is left out: nobody can say what in it is a secret. `bytes` is what was read. */
function yamlPiece(name: string, path: string, maxBytes: number): { piece: Piece; bytes: number } {
  try {
    const content = boundedText(path, maxBytes, 0)
    const documents = parseAllDocuments(content)
    const all = Array.isArray(documents) ? documents : []
    const bytes = Buffer.byteLength(content)
    if (all.some(({ errors }) => errors.length > 0))
      return { piece: missing(name, 'it is no YAML, so its secrets cannot be told'), bytes }
    const text = all.map((one) => stringify(mask(one.toJS()))).join('---\n')
    return { piece: { name, text, keeps: 'head' }, bytes }
  } catch (error) {
    return { piece: missing(name, (error as NodeJS.ErrnoException).code ?? (error as Error).message), bytes: 0 }
  }
}

function yamlFolder(name: string, directory: string): Piece[] {
  let left = maxConfigBytes
  return namesIn(directory, /\.ya?ml$/)
    .slice(0, mostFiles)
    .map((file, index) => {
      const { piece, bytes } = yamlPiece(`configuration/${name}/${shortName(file, index)}`, join(directory, file), left)
      left -= bytes
      return piece
    })
}

function newest(directory: string, pattern: RegExp, folder: string): Piece[] {
  return namesIn(directory, pattern)
    .slice(-newestReports)
    .map((file, index): Piece => {
      const name = `${folder}/${shortName(file, index)}`
      try {
        return { name, text: reportText(join(directory, file)), keeps: 'head' }
      } catch (error) {
        return missing(name, (error as NodeJS.ErrnoException).code ?? (error as Error).message)
      }
    })
}

/**
 * Of the state directory, which is the agent's: a link there could lead root, who makes the bundle, to what is nobody
 * else's, and a pipe would have it wait. Throws.
 */
function reportText(file: string): string {
  return boundedText(file, maxReportBytes, constants.O_NOFOLLOW)
}

/** Of a file that is one, and no longer than that. Throws with what is wrong. */
function boundedText(file: string, maxBytes: number, flags: number): string {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK | flags)
  try {
    const found = fstatSync(descriptor)
    if (!found.isFile()) throw new Error('it is no file')
    if (found.size > maxBytes) throw new Error(`it is longer than the ${maxBytes} bytes that there is room for`)
    return readFileSync(descriptor, 'utf8')
  } finally {
    closeSync(descriptor)
  }
}

/** Fits into a tar. */
function shortName(file: string, index: number): string {
  return Buffer.byteLength(file) <= 64 && /^[\w.-]+$/.test(file) ? file : `${index}${/\.\w+$/.exec(file)?.[0] ?? ''}`
}

function namesIn(directory: string, pattern: RegExp): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => pattern.test(name))
      .toSorted()
  } catch {
    return []
  }
}

function listed(directory: string): string[] {
  const rows = namesIn(directory, /./)
    .slice(0, mostFiles)
    .map((name) => {
      try {
        const { gid, mode, mtime, size, uid } = statSync(join(directory, name))
        return `${mode.toString(8)} ${uid}:${gid} ${String(size).padStart(10)} ${mtime.toISOString()} ${join(directory, name)}`
      } catch (error) {
        return `${join(directory, name)}: ${(error as NodeJS.ErrnoException).code}`
      }
    })
  return [directory, ...rows, '']
}

function machine(): string {
  const files = [
    '/etc/os-release',
    '/proc/meminfo',
    '/proc/pressure/cpu',
    '/proc/pressure/memory',
    '/proc/net/sockstat',
    '/proc/sys/net/ipv4/ip_local_port_range',
    '/proc/sys/net/ipv4/ip_local_reserved_ports',
    '/proc/sys/fs/file-nr',
  ]
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, all]) =>
    (all ?? []).map(({ cidr }) => `${name} ${cidr}`),
  )
  return [
    `kernel ${kernelRelease()}, up ${Math.round(uptime())} s, load ${loadavg().join(' ')}`,
    `now ${new Date().toISOString()}, node ${process.version}, user ${process.geteuid?.()}`,
    ...addresses,
    ...files.flatMap((file) => ['', `== ${file}`, fileText(file)]),
  ].join('\n')
}

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd()
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'cannot be read'
  }
}

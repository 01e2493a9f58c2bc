/**
 * Which mode each service is wanted in. Three sources, the first that says something decides: a call of the
 * application, the key in the registry, the options. In one source a service's own word stands above the application's.
 */
import { MeshError } from '../../contracts/errors.ts'
import { parseServiceName } from '../../contracts/endpoint.ts'
import { modeWords } from '../options.ts'
import type { Mode } from '../options.ts'

/** What one source says. */
export interface ModeWords {
  readonly mode: Mode | undefined
  readonly services: ReadonlyMap<string, Mode>
}

export const noWords: ModeWords = { mode: undefined, services: new Map() }

const maxKeyCharacters = 64 * 1024
const maxServices = 1000

export class ModeTable {
  private readonly options: ModeWords
  private key: ModeWords = noWords
  private calledMode: Mode | undefined
  private readonly calledServices = new Map<string, Mode>()

  constructor(options: ModeWords) {
    this.options = options
  }

  wanted(name: string): Mode {
    for (const { mode, services } of [
      { mode: this.calledMode, services: this.calledServices },
      this.key,
      this.options,
    ]) {
      const found = services.get(name) ?? mode
      if (found !== undefined) return found
    }
    return 'auto'
  }

  /** mode: undefined takes an earlier call back. service: undefined = the whole application. */
  call(mode: Mode | undefined, service: string | undefined): void {
    if (service === undefined) this.calledMode = mode
    else if (mode === undefined) this.calledServices.delete(service)
    else {
      if (this.calledServices.size >= maxServices && !this.calledServices.has(service))
        throw new MeshError('E_OVERLOAD', `${service}: ${maxServices} services have a mode of their own already`)
      this.calledServices.set(service, mode)
    }
  }

  takeKey(words: ModeWords): void {
    this.key = words
  }
}

/**
 * The text of the key: `{"mode":"direct","services":{"orders":"mesh"}}`, both optional. Throws E_CONFIG_INVALID with
 * what is wrong and what is allowed.
 */
export function readModeKey(text: string): ModeWords {
  if (text.length > maxKeyCharacters) throw bad(`${text.length} characters, allowed ${maxKeyCharacters}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad('not JSON; allowed is {"mode": "mesh", "services": {"NAME": "direct"}}')
  }
  if (!isRecord(value)) throw bad('not an object; allowed is {"mode": "mesh", "services": {"NAME": "direct"}}')
  for (const name of Object.keys(value))
    if (name !== 'mode' && name !== 'services') throw bad(`"${name.slice(0, 64)}": allowed are mode and services`)
  const { mode, services } = value
  if (mode !== undefined && !isMode(mode)) throw bad('mode: allowed are mesh, direct and auto')
  if (services !== undefined && !isRecord(services)) throw bad('services: not an object')
  const entries = Object.entries(services ?? {})
  if (entries.length > maxServices) throw bad(`services: ${entries.length}, allowed ${maxServices}`)
  const words = new Map<string, Mode>()
  for (const [name, word] of entries) {
    if (parseServiceName(name) === undefined) throw bad(`services: "${name.slice(0, 64)}" cannot be a service's name`)
    if (!isMode(word)) throw bad(`services.${name}: allowed are mesh, direct and auto`)
    words.set(name, word)
  }
  return { mode, services: words }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isMode(value: unknown): value is Mode {
  return modeWords.includes(value as Mode)
}

function bad(what: string): MeshError {
  return new MeshError('E_CONFIG_INVALID', what)
}

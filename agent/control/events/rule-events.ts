/** Changes of rules as events: what was added, changed, removed, rejected. The first word of a source is no news. */
import type { RuleState, RuleStatus } from '../../../contracts/rule-status.ts'
import type { RuleDocument } from '../core/rules/types.ts'
import type { Timeline } from './timeline.ts'

interface KnownRule {
  readonly document: string
  readonly text: string
  readonly state: RuleState
}

const stateWords: Readonly<Record<RuleState, string>> = {
  applied: 'in force',
  conflict: 'without effect: another rule decides',
  overridden: 'without effect: what this host was told decides, or another source says the same',
  rejected: 'rejected',
}

export class RuleEvents {
  private readonly timeline: Timeline
  /** By source, then by rule. */
  private readonly known = new Map<string, ReadonlyMap<string, KnownRule>>()
  /** Documents of a source that were listed and not read yet. */
  private awaited: ReadonlySet<string> = new Set()

  constructor(timeline: Timeline) {
    this.timeline = timeline
  }

  /** All rules of a source, and the documents that they stand in. */
  replaced(source: string, documents: readonly RuleDocument[], statuses: readonly RuleStatus[]): void {
    const awaited = new Set(documents.flatMap(({ isAwaited, name }) => (isAwaited ? [`${source} ${name}`] : [])))
    const before = this.known.get(source)
    const now = new Map<string, KnownRule>()
    const texts = textsOf(documents, statuses)
    for (const [at, status] of statuses.entries()) {
      if (awaited.has(`${source} ${status.document}`)) continue
      const about = `${status.kind} ${status.namespace}/${status.name}`
      const rule = { document: status.document, text: texts[at]!, state: status.state }
      now.set(about, rule)
      this.tell(source, about, status, before === undefined)
    }
    if (before !== undefined) {
      for (const [about, { text }] of now) this.compare(source, about, text, before.get(about), now.get(about)!)
      for (const about of before.keys())
        if (!now.has(about))
          this.timeline.add({ kind: 'rule', about, what: 'removed', message: `is gone from ${source}` })
    }
    this.known.set(source, now)
    const others = [...this.awaited].filter((one) => !one.startsWith(`${source} `))
    this.awaited = new Set([...others, ...awaited])
  }

  private compare(source: string, about: string, text: string, before: KnownRule | undefined, now: KnownRule): void {
    if (now.state === 'rejected') return
    if (before === undefined) {
      if (this.awaited.has(`${source} ${now.document}`)) return
      this.timeline.add({ kind: 'rule', about, what: 'added', message: `${source}: ${stateWords[now.state]}` })
    } else if (before.text !== text || before.state !== now.state)
      this.timeline.add({ kind: 'rule', about, what: 'changed', message: `${source}: ${stateWords[now.state]}` })
  }

  private tell(source: string, about: string, { inForce, problems, state }: RuleStatus, isFirst: boolean): void {
    if (state === 'rejected') {
      const why = problems.map(({ line, message, path }) => `line ${line} ${path}: ${message}`).join('; ')
      const rest = inForce ? 'its last good version stays' : 'it has no effect'
      const message = `${source}: ${rest}: ${why}`
      this.timeline.turn({ kind: 'rule', about, what: 'rejected', message, severity: 'error' })
    } else if (isFirst)
      // what was rejected before a restart may have been mended meanwhile
      this.timeline.turn({
        kind: 'rule',
        about,
        what: 'changed',
        message: `${source}: ${stateWords[state]}`,
        onlyAfter: 'rejected',
      })
  }
}

/** Of each status: what stands of it in its document, as far as lines can tell. */
function textsOf(documents: readonly RuleDocument[], statuses: readonly RuleStatus[]): string[] {
  const wholes = new Map(documents.map(({ name, text }) => [name, text ?? '']))
  return statuses.map(({ document, line }, at) => {
    const whole = wholes.get(document) ?? ''
    const next = statuses[at + 1]
    const end = next?.document === document ? lineStart(whole, next.line) : whole.length
    return whole
      .slice(lineStart(whole, line), end)
      .replace(/\n---\s*$/, '')
      .trimEnd()
  })
}

function lineStart(text: string, line: number): number {
  let start = 0
  for (let left = line - 1; left > 0; left--) {
    const end = text.indexOf('\n', start)
    if (end < 0) return text.length
    start = end + 1
  }
  return start
}

/**
 * Tells each center that `center.reports` names how this host is, while its generation leads. A center that does not
 * take a report is told again with the next one; nothing waits for it and nothing is kept for it.
 */
import { describeError } from '../../../contracts/errors.ts'
import { hostsPath, type HostReport } from '../../../contracts/host-report.ts'
import type { ReportsSection } from '../config/center-section.ts'
import type { CenterClient } from '../kinds/center-clients.ts'
import type { LeadingPart, PartDeps } from '../leading-part.ts'

export interface CenterReportsDeps extends Pick<PartDeps, 'clock' | 'random' | 'log' | 'metrics'> {
  /** The section in force; undefined = nobody is told. */
  section(): ReportsSection | undefined
  report(): Promise<HostReport>
  /** What a center answered to a report that it took: unchecked. */
  onAnswer(answer: unknown): void
  /** One for each center. Rejects for files that cannot be read. */
  clients(section: ReportsSection): Promise<readonly CenterClient[]>
}

interface Center {
  readonly client: CenterClient
  isAsking: boolean
  /** undefined = it took the last report, or was not told yet. */
  problem: string | undefined
}

/** How often it is looked whether somebody is to be told, where nobody was so far. */
const idleLookMs = 5000
/** Of the pause, by chance, so that a fleet that started together spreads. */
const spread = 0.2
const maxTimeoutMs = 4000
/** Of an answer: it may hold a rule for a dry run. */
const maxAnswerBytes = 256 * 1024

export class CenterReports implements LeadingPart {
  private readonly deps: CenterReportsDeps
  private centers: readonly Center[] = []
  private settings: ReportsSection | undefined
  private problem: string | undefined
  private cancel: (() => void) | undefined
  private isOpen = false

  constructor(deps: CenterReportsDeps) {
    this.deps = deps
  }

  open(): Promise<void> {
    this.isOpen = true
    void this.turn()
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.isOpen = false
    this.cancel?.()
    this.drop()
    return Promise.resolve()
  }

  faults(): string[] {
    const centers = this.centers.flatMap(({ client, problem }) =>
      problem === undefined ? [] : [`reports to center ${client.server}: ${problem}`],
    )
    return this.problem === undefined ? centers : [this.problem, ...centers]
  }

  private async turn(): Promise<void> {
    const section = this.deps.section()
    await this.use(section)
    if (!this.isOpen) return
    if (this.centers.some(({ isAsking }) => !isAsking)) await this.tellAll(section!)
    if (!this.isOpen) return
    const pause = section?.interval ?? idleLookMs
    this.cancel = this.deps.clock.after(pause * (1 - spread * this.deps.random()), () => void this.turn())
  }

  /** Takes up a changed section. */
  private async use(section: ReportsSection | undefined): Promise<void> {
    if (section === this.settings && this.problem === undefined) return
    this.drop()
    this.settings = section
    const before = this.problem
    this.problem = undefined
    if (section === undefined) return
    try {
      const clients = await this.deps.clients(section)
      this.centers = clients.map((client) => ({ client, isAsking: false, problem: undefined }))
    } catch (error) {
      this.problem = `center.reports: ${describeError(error)}; nobody is told how this host is`
      if (this.problem !== before) this.deps.log.error({ code: 'E_CONFIG_UNREADABLE' }, this.problem)
    }
  }

  private drop(): void {
    for (const { client } of this.centers) client.close()
    this.centers = []
    this.deps.metrics.clear('center_reports_taken')
  }

  private async tellAll(section: ReportsSection): Promise<void> {
    let report: HostReport
    try {
      report = await this.deps.report()
    } catch (error) {
      this.deps.log.error({ code: 'E_INTERNAL' }, `no report was made: ${describeError(error)}`)
      return
    }
    if (this.settings !== section) return
    for (const center of this.centers) if (!center.isAsking) void this.tell(center, report, section)
  }

  private async tell(center: Center, report: HostReport, section: ReportsSection): Promise<void> {
    const { metrics, log } = this.deps
    center.isAsking = true
    const before = center.problem
    try {
      const answer = await center.client.ask({
        method: 'PUT',
        path: `${hostsPath}/${encodeURIComponent(report.host)}`,
        body: report,
        timeoutMs: Math.min(maxTimeoutMs, Math.max(1000, section.interval)),
        maxBytes: maxAnswerBytes,
      })
      if (answer.status !== 200) throw new Error(refusalIn(answer.text, answer.status))
      center.problem = undefined
      this.deps.onAnswer(parsed(answer.text))
    } catch (error) {
      center.problem = (error as Error).message
    } finally {
      center.isAsking = false
    }
    if (!this.centers.includes(center)) return
    metrics.count('center_reports', {
      center: center.client.server,
      result: center.problem === undefined ? 'taken' : 'failed',
    })
    metrics.gauge('center_reports_taken', { center: center.client.server }, center.problem === undefined ? 1 : 0)
    if (center.problem !== undefined && before === undefined)
      log.warn(
        { center: center.client.server },
        `reports to center ${center.client.server}: ${center.problem}; told again, traffic is not touched`,
      )
    else if (center.problem === undefined && before !== undefined)
      log.info({ center: center.client.server }, `center ${center.client.server} takes the reports of this host again`)
  }
}

function refusalIn(text: string, status: number): string {
  const { message } = Object(parsed(text)) as { message?: unknown }
  return typeof message === 'string' ? `status ${status}: ${message.slice(0, 500)}` : `status ${status}`
}

/** undefined = no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

import { expect } from 'chai'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drillHtml } from '../../../../cli/drill/report-html.ts'
import type { DrillReport } from '../../../../cli/drill/report.ts'
import { keptReports, saveReport, saveSeries } from '../../../../cli/drill/saved-reports.ts'
import { reportOf } from '../../../support/drill-report.ts'

describe('the page of a drill', () => {
  it('shows calls by tier, losses and events in a chart, and needs nothing from elsewhere', () => {
    const report: DrillReport = reportOf({
      events: [{ atMs: 100, what: 'breaks' }],
      timeline: [
        { atMs: 0, lost: 0, slowestMs: 3, tiers: { agent: 5 } },
        { atMs: 100, lost: 2, slowestMs: 40, tiers: { center: 3 } },
      ],
    })
    const page = drillHtml({ startedAt: report.startedAt, reports: [report], skipped: [] })
    expect(page).to.include('<svg').and.to.include('>breaks</text>').and.to.include('5 calls')
    expect(page.match(/<rect /g)).to.have.length(3)
    expect(page).to.include('fill="#c0392b"')
    expect(page).to.not.match(/<script|<link|<img|https?:|url\(/)
  })

  it('lets no text of a report become a part of the page', () => {
    const evil = '<script>alert("x")</script>'
    const report = reportOf({ host: evil, problems: [evil], events: [{ atMs: 0, what: evil }] })
    const skipped = [{ drill: 'kill-agent', host: evil, reason: evil }]
    expect(drillHtml({ startedAt: evil, reports: [report], skipped })).to.not.include('<script')
  })

  it('stands without a single measured call', () => {
    const page = drillHtml({ startedAt: '', reports: [reportOf({ timeline: [] })], skipped: [] })
    expect(page).to.include('No call was measured')
  })
})

describe('reports in the state directory', () => {
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'hm-reports-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  it('are kept as JSON, Markdown and a page, for their owner alone', () => {
    const page = saveReport(reportOf({}), folder)
    expect(readFileSync(page, 'utf8')).to.include('<!doctype html>')
    const kinds = readdirSync(folder).map((name) => name.split('.').at(-1))
    expect(kinds).to.have.members(['json', 'md', 'html'])
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).to.equal(0o600)
  })

  it('hold what did not run beside what did', () => {
    const skipped = [{ drill: 'cut-center', host: 'alpha', reason: 'no center | is set' }]
    saveSeries({ startedAt: '2026-01-01T00:00:00.000Z', reports: [reportOf({})], skipped }, folder)
    const text = readFileSync(join(folder, '2026-01-01T00-00-00-000Z-all.md'), 'utf8')
    expect(text).to.include('1 kept, 0 broken, 0 aborted, 1 not run')
    expect(text).to.include('| alpha | cut-center | not run | - | - | no center \\| is set |')
  })

  it('are bounded: the oldest go with all their files', () => {
    for (let index = 0; index < keptReports + 2; index++)
      saveReport(reportOf({ startedAt: `2026-01-01T00:00:00.${String(index).padStart(3, '0')}Z` }), folder)
    const left = readdirSync(folder)
    expect(left).to.have.length(3 * keptReports)
    expect(left.some((name) => name.includes('00-000Z') || name.includes('00-001Z'))).to.equal(false)
  })
})

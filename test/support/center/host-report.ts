/** A good report of a host that has nothing special about it. */
import { hostReportFormat, type HostReport } from '../../../contracts/host-report.ts'

export function hostReport(host: string, address: string, change: Partial<HostReport> = {}): HostReport {
  return {
    format: hostReportFormat,
    host,
    address,
    zone: '',
    region: '',
    labels: {},
    version: '1.2.3',
    generation: 1,
    startedAt: 1_700_000_000_000,
    workers: 1,
    snapshotVersion: 7,
    isReady: true,
    problems: [],
    tier: { now: 'agent', agent: 0, center: 0, direct: 0 },
    connections: 0,
    applications: [],
    registries: [],
    rules: { applied: 0, rejected: [] },
    bucketsMs: [],
    traffic: [],
    ...change,
  }
}

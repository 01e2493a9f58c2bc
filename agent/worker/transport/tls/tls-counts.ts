import type { StatSeries } from '../../../../contracts/control-link.ts'
import type { TlsEvents, TlsRole } from './tls-shared.ts'
import { alertName } from './words.ts'

/** Reasons and peers that are told apart; more are `other`. */
const maxRows = 1000

interface Table {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
  readonly rows: Map<string, number>
}

const table = (name: string, help: string, labelNames: readonly string[]): Table => ({
  name,
  help,
  labelNames,
  rows: new Map(),
})

/** What TLS came to, in numbers that go on in a successor. */
export class TlsCounts implements TlsEvents {
  private readonly handshakes = table('hostmesh_tls_handshakes_total', 'TLS handshakes, by result: ok, or why not', [
    'role',
    'result',
  ])
  private readonly ends = table(
    'hostmesh_tls_connection_errors_total',
    'TLS connections that ended otherwise than by close_notify: the alert that was sent or received, or truncated',
    ['role', 'reason'],
  )
  private readonly inbound = table(
    'hostmesh_inbound_connections_total',
    'Connections of callers to inbound ports and relay listeners that speak TLS, by security (mutual_tls, none) and by who called: an identity, or an address',
    ['listener', 'security', 'caller'],
  )

  handshake(role: TlsRole, result: string): void {
    add(this.handshakes, [role, result])
  }

  /** `caller`: SPIFFE id, or address. */
  accepted(listener: string, security: 'mutual_tls' | 'none', caller: string): void {
    add(this.inbound, [listener, security, caller])
  }

  onFault(role: TlsRole, alert: string): void {
    add(this.ends, [role, `sent_${alert}`])
  }

  onPeerAlert(role: TlsRole, code: number): void {
    add(this.ends, [role, `received_${alertName(code)}`])
  }

  onTruncated(role: TlsRole): void {
    add(this.ends, [role, 'truncated'])
  }

  series(): StatSeries[] {
    return this.tables.map(({ help, labelNames, name, rows }) => ({
      name,
      kind: 'counter',
      help,
      labelNames,
      samples: [...rows].map(([key, value]) => ({ labels: key.split('\n'), value })),
    }))
  }

  reset(): void {
    for (const { rows } of this.tables) rows.clear()
  }

  exportState(): unknown {
    return Object.fromEntries(this.tables.map(({ name, rows }) => [name, [...rows]]))
  }

  /** Adds a predecessor's counts; tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const one of this.tables) {
      const rows: unknown = Object.hasOwn(state, one.name) ? (state as Record<string, unknown>)[one.name] : undefined
      if (!Array.isArray(rows)) continue
      for (const row of rows) {
        if (!Array.isArray(row)) continue
        const [key, value] = row as unknown[]
        if (typeof key !== 'string' || typeof value !== 'number' || !Number.isFinite(value)) continue
        const labels = key.split('\n')
        if (labels.length === one.labelNames.length) add(one, labels, value)
      }
    }
  }

  private get tables(): readonly Table[] {
    return [this.handshakes, this.ends, this.inbound]
  }
}

function add({ rows }: Table, labels: readonly string[], amount = 1): void {
  let key = labels.join('\n')
  if (!rows.has(key) && rows.size >= maxRows) key = [...labels.slice(0, -1), 'other'].join('\n')
  rows.set(key, (rows.get(key) ?? 0) + amount)
}

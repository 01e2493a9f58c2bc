/** Filters of users as all workers together have them. */
import type { UserFilterDump, UserFilterState } from '../../../contracts/user-filter-spec.ts'

export interface FilterRow {
  readonly name: string
  /** Of the worker where it is worst. */
  state: UserFilterState
  why: string
  /** Workers in which it is on. */
  on: number
  workers: number
  failures: number
}

/** From good to bad. */
const order: readonly UserFilterState[] = ['on', 'loading', 'off', 'failed']

export function filterRows(dumps: readonly UserFilterDump[]): FilterRow[] {
  const rows = new Map<string, FilterRow>()
  for (const { failures, name, state, why } of dumps) {
    const row = rows.get(name) ?? { name, state, why, on: 0, workers: 0, failures: 0 }
    rows.set(name, row)
    row.workers++
    row.failures += failures
    if (state === 'on') row.on++
    if (order.indexOf(state) > order.indexOf(row.state)) Object.assign(row, { state, why })
  }
  return [...rows.values()].toSorted((a, b) => a.name.localeCompare(b.name))
}

/** A heading and a row for each. */
export function filterTable(rows: readonly FilterRow[]): string[][] {
  return [
    ['filter', 'state', 'on in', 'failures', 'why'],
    ...rows.map(({ failures, name, on, state, why, workers }) => [
      name,
      state,
      `${on} of ${workers} workers`,
      String(failures),
      why,
    ]),
  ]
}

/** What of the rules proxies and clients of gRPC are not told, for whoever wonders. */
import { columns, either, type AdminPage } from '../../../agent/control/admin/http.ts'
import type { LeftOutTable } from './left-out-table.ts'

export function leftOutPage(table: LeftOutTable): AdminPage {
  return {
    path: '/xds',
    method: 'GET',
    help: 'what of the rules cannot be said to proxies and clients of gRPC (docs/xds.md), by resource',
    answer: (request) => {
      const rows = table.rows()
      return either(request, rows, () =>
        rows.length === 0
          ? 'nothing is left out'
          : columns([
              ['TYPE', 'NAME', 'LEFT OUT'],
              ...rows.flatMap(({ type, name, what }) => what.map((words) => [type, name, words])),
            ]),
      )
    },
  }
}

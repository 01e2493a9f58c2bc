/** What is wrong with filters of users that no single field can tell: names, and who may write their files. */
import { describeError } from '../../../contracts/errors.ts'
import type { UserFilterSpec } from '../../../contracts/user-filter-spec.ts'
import { distrustOf } from '../../../native/private-directory.ts'
import type { Report } from './node-kind.ts'
import { reportFile, unreadable } from './readable-file.ts'

export function filterConflicts(filters: readonly UserFilterSpec[], report: Report): void {
  for (const [at, { builtin, name, path: file, settings }] of filters.entries()) {
    const first = filters.findIndex((one) => one.name === name)
    if (first < at) report(['filters', at, 'name'], `"${name}" is already the name of filters[${first}]`)
    if (file === undefined) {
      if (builtin === 'basicAuth')
        reportFile(report, ['filters', at, 'settings', 'file'], String(settings['file']), true)
      continue
    }
    const reason = unreadable(file) ?? distrust(file)
    if (reason !== undefined) report(['filters', at, 'path'], `${file} cannot be used: ${reason}`)
  }
}

function distrust(file: string): string | undefined {
  try {
    return distrustOf(file)
  } catch (error) {
    return describeError(error)
  }
}

/** Who the calling applications are, by user id: from the `user` of each file in services.d. */
import { readFileSync } from 'node:fs'
import type { SourceAppSpec } from '../../../../contracts/snapshot.ts'
import type { Application } from './application.ts'

/**
 * Two applications of one user cannot be told apart: the first one names both; those of files come first, then by id. A
 * name that the system does not know is skipped and reported.
 */
export function sourceAppsByUid(
  applications: readonly Application[],
  uidOf: (name: string) => number | undefined,
  onProblem: (message: string) => void,
): Record<string, SourceAppSpec> {
  const byUid: Record<string, SourceAppSpec> = {}
  for (const application of applications.toSorted(filesFirst)) {
    const { user } = application
    if (user === undefined) continue
    const uid = userId(user, uidOf)
    if (uid === undefined) {
      onProblem(`${application.id}: user "${user}" does not exist; its calls are not attributed to it`)
      continue
    }
    const twin = byUid[String(uid)]
    if (twin !== undefined) {
      if (twin.app !== application.service.name)
        onProblem(`${application.id}: user ${uid} already stands for ${twin.app}; give each application its own user`)
      continue
    }
    const version = application.metadata['version']
    byUid[String(uid)] = {
      app: application.service.name,
      namespace: application.service.namespace,
      labels: {
        app: application.service.name,
        ...(version === undefined ? {} : { version }),
        ...application.labels,
      },
    }
  }
  return byUid
}

/** What an operator wrote in a file goes before what was said at run time. */
function filesFirst(a: Application, b: Application): number {
  const order = Number(a.source !== 'file') - Number(b.source !== 'file')
  return order !== 0 ? order : a.id < b.id ? -1 : 1
}

export function userId(user: string | number, uidOf: (name: string) => number | undefined): number | undefined {
  return typeof user === 'number' ? user : uidOf(user)
}

/** From /etc/passwd; users of directory services are given by number. */
export function systemUid(name: string): number | undefined {
  try {
    for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
      const [user, , uid] = line.split(':')
      if (user === name && uid !== undefined && /^\d+$/.test(uid)) return Number(uid)
    }
  } catch {
    // no such file: only numbers work here
  }
  return undefined
}

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
  identityOf: (application: Application) => string | undefined = () => undefined,
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
    const identity = identityOf(application)
    byUid[String(uid)] = {
      app: application.service.name,
      namespace: application.service.namespace,
      ...(identity === undefined ? {} : { identity }),
      labels: workloadLabels(application),
    }
  }
  return byUid
}

/** By which rules know an application. */
export function workloadLabels({ labels, metadata, service }: Application): Readonly<Record<string, string>> {
  const version = metadata['version']
  return { app: service.name, ...(version === undefined ? {} : { version }), ...labels }
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
  return idIn('/etc/passwd', name)
}

/** From /etc/group, alike. */
export function systemGid(name: string): number | undefined {
  return idIn('/etc/group', name)
}

function idIn(file: string, name: string): number | undefined {
  try {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const [entry, , id] = line.split(':')
      if (entry === name && id !== undefined && /^\d+$/.test(id)) return Number(id)
    }
  } catch {
    // no such file: only numbers work here
  }
  return undefined
}

/** The files that sections of registries name beside their TLS files: one secret in each. */
import type { NamedFile } from './registry-kind.ts'
import { locatedTls, namedTlsFiles } from './tls-files.ts'
import type { TlsFiles } from './tls-files.ts'

type SectionWithFiles<Key extends string> = { [K in Key]?: string | undefined } & { tls?: TlsFiles | undefined }

/** What a kind whose sections name these secrets, and perhaps TLS files, answers about files. */
export function sectionFiles<Key extends string>(secrets: readonly Key[]) {
  return {
    files: (section: SectionWithFiles<Key>): NamedFile[] => namedFiles(section, secrets),
    located: <Section extends SectionWithFiles<Key>>(section: Section, absolute: (path: string) => string): Section =>
      locatedFiles(section, secrets, absolute),
  }
}

function namedFiles<Key extends string>(section: SectionWithFiles<Key>, secrets: readonly Key[]): NamedFile[] {
  const files: NamedFile[] = []
  for (const key of secrets) {
    const file = section[key]
    if (file !== undefined) files.push({ path: [key], file, isSecret: true })
  }
  return [...files, ...namedTlsFiles(section.tls)]
}

/** With each of them, and those of TLS, through `absolute`. */
function locatedFiles<Key extends string, Section extends SectionWithFiles<Key>>(
  section: Section,
  secrets: readonly Key[],
  absolute: (path: string) => string,
): Section {
  const made: SectionWithFiles<string> = { ...section }
  for (const key of secrets) {
    const file = section[key]
    if (file !== undefined) made[key] = absolute(file)
  }
  if (section.tls !== undefined) made.tls = locatedTls(section.tls, absolute)
  return made as Section
}

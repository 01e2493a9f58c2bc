/** Where a signal goes, with what the files of its section hold. */
import { describeError, MeshError } from '../../../contracts/errors.ts'
import { certificatesIn, requireKeyOf } from '../certificates/pem.ts'
import type { CollectorConfig } from '../config/types.ts'
import { readText } from '../kinds/secret-file.ts'
import type { TlsTexts } from '../kinds/tls-files.ts'

/** A new token in the old file is another destination. */
export interface Destination {
  readonly collector: CollectorConfig
  /** Go with each request; names in lower case. */
  readonly fields: Readonly<Record<string, string>>
  /** Empty: the system's authorities, and no certificate of ours. */
  readonly tls: TlsTexts
}

/** Throws E_CONFIG_UNREADABLE or E_CERTIFICATE_INVALID, with the name of the file. */
export function destinationOf(collector: CollectorConfig): Destination {
  return {
    collector,
    fields: collector.headersFile === undefined ? {} : readFields(collector.headersFile),
    tls: readTlsFiles(collector),
  }
}

/** Looked at here: what a library says of a wrong file names none. */
function readTlsFiles({ ca, cert, key }: CollectorConfig): TlsTexts {
  const made: { ca?: string; cert?: string; key?: string } = {}
  if (ca !== undefined) {
    made.ca = readText(ca)
    certificatesIn(made.ca, ca)
  }
  if (cert !== undefined && key !== undefined) {
    made.cert = readText(cert)
    made.key = readText(key)
    requireKeyOf(certificatesIn(made.cert, cert)[0], cert, made.key, key)
  }
  return made
}

/** `name: value` lines, as in a request. Others are passed over. */
function readFields(file: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const line of readText(file).split(/\r?\n/)) {
    const at = line.indexOf(':')
    if (at <= 0 || !/^[!#$&'*+.^_`|~0-9A-Za-z-]+$/.test(line.slice(0, at))) continue
    const name = line.slice(0, at).toLowerCase()
    const value = line.slice(at + 1).trim()
    // what a library would say of it shows the secret
    if (!/^[ -~]*$/.test(value))
      throw new MeshError('E_CONFIG_UNREADABLE', `${file}: ${name}: the value holds more than printable ASCII`)
    fields[name] = value
  }
  return fields
}

/** The words of TLS for what an operator has to mend; everything else as it is said. */
export function connectProblem(error: unknown): string {
  const said = describeError(error) || ((error as NodeJS.ErrnoException).code ?? 'the connection failed')
  return isUntrusted(said) ? `${said}: its certificate is not from an authority of \`ca\`` : said
}

function isUntrusted(said: string): boolean {
  return /self-signed certificate|unable to (?:verify the first|get (?:local )?issuer) certificate/i.test(said)
}

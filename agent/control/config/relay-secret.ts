/** The file with the secret of the relay, as agents and centers name it. */
import { readRelayKeys } from '../../../contracts/relay-proof.ts'
import { SecretFile } from '../../../native/secret-file.ts'
import { unreadable } from './readable-file.ts'

/** Why it cannot be used; undefined = it can. */
export function relaySecretProblem(file: string): string | undefined {
  const reason = unreadable(file) ?? badSecret(file)
  return reason === undefined ? undefined : `${file} cannot be used: ${reason}`
}

function badSecret(file: string): string | undefined {
  const secret = new SecretFile(file, readRelayKeys, () => 0)
  secret.get()
  return secret.problem?.replace(`${file}: `, '')
}

/** Asks for a token, and says why. */
import { isToken } from './api.ts'
import { html, useState, type View } from './html.ts'
import { t } from './words.ts'

/** Marks without width travel along when a token is copied from a page; `trim` knows spaces alone. */
const unseenAtTheRims = /^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$/g

export function Login({ onToken, why }: { readonly why: string; readonly onToken: (token: string) => void }): View {
  const [token, setToken] = useState('')
  const [problem, setProblem] = useState(why)
  const submit = (event: Event): void => {
    event.preventDefault()
    const plain = token.replaceAll(unseenAtTheRims, '')
    if (plain === '') return
    if (isToken(plain)) onToken(plain)
    else setProblem(t('tokenStrange'))
  }
  return html`<main class="alone">
    <form class="card login" onSubmit=${submit}>
      <h1>Hostmesh</h1>
      <p role="alert">${problem}</p>
      <label for="token">${t('token')}</label>
      <input
        id="token"
        type="password"
        autocomplete="off"
        spellcheck=${false}
        aria-describedby="token-help"
        value=${token}
        onInput=${(event: { currentTarget: HTMLInputElement }) => setToken(event.currentTarget.value)}
      />
      <p id="token-help" class="quiet">${t('tokenHelp')}</p>
      <button type="submit" class="primary">${t('signIn')}</button>
    </form>
  </main>`
}

/** Asks for a token, and says why. */
import { html, useState, type View } from './html.ts'
import { t } from './words.ts'

export function Login({ onToken, why }: { readonly why: string; readonly onToken: (token: string) => void }): View {
  const [token, setToken] = useState('')
  const submit = (event: Event): void => {
    event.preventDefault()
    if (token.trim() !== '') onToken(token.trim())
  }
  return html`<main class="alone">
    <form class="card login" onSubmit=${submit}>
      <h1>Hostmesh</h1>
      <p role="alert">${why}</p>
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

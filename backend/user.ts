/** As the API shows them; never with the password. */
export interface User {
  id: number;
  email: string;
  first_name: string;
  last_name: string;
  created_at: Date;
}

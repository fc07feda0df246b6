//! Enumerations as fields of events.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Error, Fields};

/// Types of numbers that an enumeration may be stored as.
const NUMBERS: [&str; 10] = [
    "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "isize",
];

/// `impl relay::event::Value` for an enumeration.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        let message = "only an `enum` is an enumeration";
        return Err(Error::new(input.ident.span(), message));
    };
    if !input.generics.params.is_empty() {
        let message = "an enumeration has no parameters: it is one class";
        return Err(Error::new_spanned(&input.generics, message));
    }
    if data.variants.is_empty() {
        let message = "an enumeration has variants: there is no value of this one";
        return Err(Error::new(input.ident.span(), message));
    }
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let message = "variants of an enumeration have no fields: a record has their number";
            return Err(Error::new_spanned(&variant.fields, message));
        }
        if !variant.ident.unraw().to_string().is_ascii() {
            let message = "readers take ASCII letters, digits and `_` only";
            return Err(Error::new(variant.ident.span(), message));
        }
    }
    // What derives has no `$crate`: relay goes by its own name there.
    let relay = quote!(::relay);
    let identifier = &input.ident;
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let names = variants.iter().map(|variant| variant.unraw().to_string());
    let stored = match representation(input)? {
        Some(number) => quote!(&<#number as #relay::event::Value>::KIND),
        None => quote!(#relay::__private::fewest_bits(VALUES)),
    };
    let numbers: Vec<_> = (0..variants.len())
        .map(|number| format_ident!("NUMBER_{number}", span = Span::mixed_site()))
        .collect();
    Ok(quote! {
        const _: () = {
            const VALUES: &[(&str, i128)] = &[#((#names, #identifier::#variants as i128)),*];

            #[automatically_derived]
            impl #relay::event::Value for #identifier {
                const KIND: #relay::event::Kind = #relay::event::Kind::Enum(
                    &#relay::event::EnumClass { stored: #stored, values: VALUES },
                );

                #[inline(always)]
                fn size(&self) -> usize {
                    const { #relay::__private::sum(&[<Self as #relay::event::Value>::SIZE]) }
                        .unwrap_or_default()
                }

                #[inline(always)]
                fn store(&self, fields: &mut #relay::event::FieldsMut<'_>) {
                    #(const #numbers: i128 = #identifier::#variants as i128;)*
                    let number = match self { #(Self::#variants => #numbers,)* };
                    fields.bytes(&number.to_le_bytes()[..#relay::event::Value::size(self)]);
                }
            }
        };
    })
}

/// The type in `#[repr(..)]`, if there is one.
fn representation(input: &DeriveInput) -> syn::Result<Option<Ident>> {
    let mut number = None;
    for attribute in &input.attrs {
        if !attribute.path().is_ident("repr") {
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            let Some(word) = meta.path.get_ident() else {
                return Ok(());
            };
            if NUMBERS.iter().any(|own| word == own) {
                number = Some(word.clone());
            } else if word == "u128" || word == "i128" {
                return Err(meta.error("readers take at most 64 bits"));
            } else if meta.input.peek(syn::token::Paren) {
                // `align(8)`: it does not matter here.
                let _: proc_macro2::Group = meta.input.parse()?;
            }
            Ok(())
        })?;
    }
    Ok(number)
}
